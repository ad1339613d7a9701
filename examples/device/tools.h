/* tools.h - what the tools are called, and how they are described; shared with the device that is firmware. */

#ifndef TOOLS_H
#define TOOLS_H

enum { CHANNELS = 4, CALIBRATE_MAX = 10, CALIBRATE_STEPS = 5, NOTE_MAX = 200 };

#define TOOL_OBJECT(properties, required) \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "]}"

/* X(the function, description, schema of what goes in, of what comes out) */
#define TOOLS(X)                                                                                                       \
    X(read_sensor, "Reads a temperature channel.",                                                                     \
      TOOL_OBJECT("\"channel\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":3}", "\"channel\""),                    \
      TOOL_OBJECT("\"channel\":{\"type\":\"integer\"},\"celsius\":{\"type\":\"number\"},"                              \
                  "\"calibrated\":{\"type\":\"boolean\"}",                                                             \
                  "\"channel\",\"celsius\",\"calibrated\""))                                                           \
    X(set_led, "Switches the LED of this session, and says so on the session's GET stream.",                           \
      TOOL_OBJECT("\"on\":{\"type\":\"boolean\"}", "\"on\""), TOOL_OBJECT("\"led\":{\"type\":\"string\"}", "\"led\"")) \
    X(whoami, "Tells which device answers, and how many tools this session has called on it.", TOOL_OBJECT("", ""),    \
      TOOL_OBJECT("\"device\":{\"type\":\"string\"},\"calls\":{\"type\":\"integer\"},\"led\":{\"type\":\"string\"}",   \
                  "\"device\",\"calls\",\"led\""))                                                                     \
    X(note, "Keeps a note for all, if there is one to keep, and tells it.",                                            \
      TOOL_OBJECT("\"text\":{\"type\":\"string\",\"maxLength\":200}", ""),                                             \
      TOOL_OBJECT("\"note\":{\"type\":\"string\"}", "\"note\""))                                                       \
    X(calibrate,                                                                                                       \
      "Calibrates the sensor in five steps, with progress. With poll, the connection is closed at once, and the "      \
      "client asks for the events by GET with Last-Event-ID until the answer is there (since revision 2025-11-25).",   \
      TOOL_OBJECT("\"seconds\":{\"type\":\"number\",\"minimum\":0,\"maximum\":10},\"poll\":{\"type\":\"boolean\"}",    \
                  "\"seconds\""),                                                                                      \
      TOOL_OBJECT("\"steps\":{\"type\":\"integer\"},\"seconds\":{\"type\":\"number\"}", "\"steps\",\"seconds\""))

#endif
