/* What the device keeps for all its sessions, a note: in a file of --data, so that it is there again after a restart,
   wherever that is; else in RAM. */

#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "note"
#define NEW_NAME "note.new"

/* -> false: there is one, and it cannot be read */
bool note_open(device *dev, const char *folder) {
    ssize_t n = 0;
    dev->folder = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == NULL) return true;
    if (dev->folder < 0) return false;
    int fd = openat(dev->folder, FILE_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;
    n = read(fd, dev->note, sizeof dev->note - 1);
    close(fd);
    if (n >= 0) dev->note[n] = '\0';
    return n >= 0;
}

void note_close(device *dev) {
    if (dev->folder >= 0) close(dev->folder);
}

/* In one step: whoever is killed meanwhile leaves the old one, or the new one. */
static bool save(const device *dev, const char *text) {
    size_t len = strlen(text);
    if (dev->folder < 0) return true;
    int fd = openat(dev->folder, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool written = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    return close(fd) == 0 && written && renameat(dev->folder, NEW_NAME, dev->folder, FILE_NAME) == 0 &&
           fsync(dev->folder) == 0;
}

cJSON *note(call *c, const cJSON *args) {
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(args, "text");
    if (text && (!cJSON_IsString(text) || strlen(text->valuestring) > NOTE_MAX)) {
        return tool_problem("text must be a string of at most 200 bytes");
    }
    if (text && !save(c->dev, text->valuestring)) return tool_problem("the note could not be written");
    if (text) snprintf(c->dev->note, sizeof c->dev->note, "%s", text->valuestring);
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "note", c->dev->note);
    return tool_result(c->session, values);
}
