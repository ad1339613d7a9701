'use strict';
// The data of backends that the gateway runs: exported, preserved, restored, and never in no place.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync, spawn } = require('node:child_process');
const { assert, sleep, until } = require('./kit.js');
const { place } = require('./place.js');

const waits = { waits: true };
const CHANGES = ['create', 'start', 'stop', 'export_data', 'keep_copy', 'import_data', 'drop_copy', 'remove'];

// Every file below a directory, with its bytes, or where it leads.
function tree(dir, below = '') {
    const all = {};
    for (const e of fs.readdirSync(path.join(dir, below), { withFileTypes: true })) {
        const name = path.join(below, e.name);
        if (e.isDirectory()) Object.assign(all, { [`${name}/`]: '' }, tree(dir, name));
        else if (e.isSymbolicLink()) all[name] = fs.readlinkSync(path.join(dir, name));
        else all[name] = fs.readFileSync(path.join(dir, name), 'latin1');
    }
    return all;
}

const put = (p, name, text) => fs.writeFileSync(p.file(`data/${name}`), text);
const temporary = (p) => fs.readdirSync(p.file('.')).filter((name) => name.endsWith('.tmp'));

async function created(p) {
    assert.equal(await p.step('create', 1), 'OK');
    put(p, 'one', '1');
    fs.mkdirSync(p.file('data/deep'));
    put(p, 'deep/two', '2');
    fs.symlinkSync('/etc/hostname', p.file('data/link'));
}

// A directory to come first in PATH, whose tar is this script.
function fakeTar(p, script) {
    const dir = path.join(p.dir, 'bin');
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, 'tar'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { PATH: `${dir}:${process.env.PATH}` };
}

// ---- steps

place('a copy is kept once, and comes back as it was', {}, async (p) => {
    await created(p);
    const before = tree(p.file('data'));
    assert.equal(await p.step('stat_copy', 1), 'MISS');
    assert.equal(await p.step('import_data', 1), 'MISS');
    assert.equal(await p.step('export_data', 1), 'OK');
    assert.equal(await p.step('stat_copy', 1), 'MISS');
    assert.equal(await p.step('keep_copy', 1), 'OK');
    assert.match(await p.driver(['step', 'stat_copy', 1]), /^OK - [1-9]\d+$/);
    assert.equal(fs.statSync(p.file('copy.tar')).mode & 0o777, 0o600);
    put(p, 'one', 'another');
    put(p, 'three', '3');
    const copy = p.read('copy.tar');
    assert.equal(await p.step('export_data', 1), 'OK');
    assert.equal(await p.step('keep_copy', 1), 'EXISTS');
    assert.equal(p.read('copy.tar'), copy);
    assert.equal(await p.step('import_data', 1), 'OK');
    assert.deepEqual(tree(p.file('data')), before);
    assert.equal(fs.statSync(p.file('data')).mode & 0o777, 0o700);
    assert.equal(await p.step('drop_copy', 1), 'OK');
    assert.equal(await p.step('drop_copy', 1), 'MISS');
    assert.deepEqual(temporary(p), []);
});

place('whoever has a lower fence is refused, and changes nothing', {}, async (p) => {
    await created(p);
    assert.equal(await p.step('export_data', 4), 'OK');
    assert.equal(await p.step('inspect', 5), 'OK'); // a new owner, who has only looked
    const before = tree(p.dir);
    for (const name of [...CHANGES, 'inspect']) assert.equal(await p.step(name, 4), 'FENCED', name);
    assert.deepEqual(tree(p.dir), before);
    for (const name of CHANGES) assert.notEqual(await p.step(name, 5), 'FENCED', name);
});

place('what is removed is gone, but for its copy', {}, async (p) => {
    await created(p);
    await p.step('export_data', 1);
    await p.step('keep_copy', 1);
    assert.equal(await p.step('remove', 1), 'OK');
    assert.deepEqual(Object.keys(tree(p.file('.'))).sort(), ['copy.tar', 'fence']);
    assert.equal(await p.step('remove', 1), 'MISS');
    assert.equal(await p.step('inspect', 1), 'MISS');
});

place('data without a record is an orphan', {}, async (p) => {
    assert.equal(await p.step('find_orphan', 1), 'MISS');
    await created(p);
    assert.equal(await p.step('find_orphan', 1), 'MISS');
    fs.unlinkSync(p.file('record'));
    assert.equal(await p.step('find_orphan', 1), 'OK');
});

place('data that is not to be written to is replaced, and removed, like any other', {}, async (p) => {
    p.demote();
    assert.equal(await p.step('create', 1), 'OK');
    fs.mkdirSync(p.file('data/a/b'), { recursive: true });
    put(p, 'a/one', '1');
    put(p, 'a/b/two', '2');
    const before = tree(p.file('data'));
    const close = () => ['a/b', 'a'].forEach((name) => {
        const at = p.file(`data/${name}`);
        if (p.user !== undefined) fs.chownSync(at, p.user.uid, p.user.gid);
        fs.chmodSync(at, 0o555);
    });
    close();
    assert.equal(await p.step('export_data', 1), 'OK');
    assert.equal(await p.step('keep_copy', 1), 'OK');
    for (let i = 0; i < 2; i++) {
        assert.equal(await p.step('import_data', 1), 'OK');
        assert.deepEqual(tree(p.file('data')), before);
        assert.deepEqual(temporary(p), []);
    }
    fs.chmodSync(p.file('data/a/b'), 0);
    assert.equal(await p.step('remove', 1), 'OK');
    assert.deepEqual(Object.keys(tree(p.file('.'))).sort(), ['copy.tar', 'fence']);
});

// ---- archives from elsewhere

place('an archive goes where it may, and nowhere else', {}, async (p) => {
    await created(p);
    for (const where of ['../x', '/tmp/x', 'a/b', '.x', 'x y', 'x'.repeat(101), 'é']) {
        assert.equal(await p.step('export_data', 1, where), 'E_ARG', where);
        assert.equal(await p.step('import_data', 1, where), 'E_ARG', where);
    }
    fs.unlinkSync(p.file('data/link'));
    const before = tree(p.file('data'));
    assert.equal(await p.step('import_data', 1, 'x'), 'MISS');
    assert.equal(await p.step('export_data', 1, 'x'), 'OK');
    assert.equal(await p.step('export_data', 1, 'x'), 'OK');
    assert.deepEqual(fs.readdirSync(path.join(p.dir, '.archives')), ['x.tar']);
    put(p, 'one', 'another');
    assert.equal(await p.step('import_data', 1, 'x'), 'OK');
    assert.deepEqual(tree(p.file('data')), before);
});

place('an archive that is not whole, as when the disk is full, is no archive', {}, async (p) => {
    await created(p);
    assert.equal(await p.step('export_data', 1, 'x'), 'OK');
    const archives = path.join(p.dir, '.archives');
    const before = tree(archives);
    const full = fakeTar(p, `echo part >"$4"; ls ${archives} >${path.join(p.dir, 'seen')}; exit 2`);
    for (const where of ['', 'x', 'y']) {
        assert.equal(await p.driver(['step', 'export_data', 1, where], full), 'E_IO - 0');
        assert.deepEqual(temporary(p), []);
        assert.deepEqual(tree(archives), before);
        // nor is one under way, where another backend may have an archive of the same name under way
        assert.equal(fs.readFileSync(path.join(p.dir, 'seen'), 'utf8'), 'x.tar\n');
    }
});

place('an archive of data that got another owner meanwhile is none', {}, async (p) => {
    await created(p);
    assert.equal(await p.step('export_data', 1, 'x'), 'OK');
    const before = tree(path.join(p.dir, '.archives'));
    const [works, goes] = ['works', 'goes'].map((name) => path.join(p.dir, name));
    const slow = fakeTar(p, `touch ${works}; while [ ! -e ${goes} ]; do sleep 0.01; done; echo torn >"$4"`);
    const done = p.driver(['step', 'export_data', 1, 'x'], slow);
    await until(() => fs.existsSync(works), 'tar');
    assert.equal(await p.step('inspect', 2), 'OK');
    fs.writeFileSync(goes, '');
    assert.equal(await done, 'FENCED - 0');
    assert.deepEqual(tree(path.join(p.dir, '.archives')), before);
    assert.deepEqual(temporary(p), []);
});

// Makes an archive in the place of one that was exported.
function forge(p, make, ...args) {
    const from = fs.mkdtempSync(path.join(p.dir, '.forge-'));
    make(from);
    const to = path.join(p.dir, '.archives', 'x.tar');
    execFileSync('tar', ['-C', from, '-cPf', to, ...args], { stdio: 'ignore' });
}

const link = (target, name = 'l') => (dir) => fs.symlinkSync(target, path.join(dir, name));

place('an archive that leads out is refused as a whole', {}, async (p) => {
    await created(p);
    fs.mkdirSync(path.join(p.dir, '.archives'));
    fs.writeFileSync(path.join(p.dir, 'outside'), 'secret');
    const deep = (target) => (dir) => (fs.mkdirSync(path.join(dir, 'd')), link(target, 'd/l')(dir));
    const file = (dir) => fs.writeFileSync(path.join(dir, 'f'), 'x');
    const bad = {
        'an absolute link': [link('/etc/passwd'), '.'],
        'a link up': [link('..'), '.'],
        'a link up, at its beginning': [link('../outside'), '.'],
        'a link up twice': [deep('../../outside'), '.'],
        'a link up in its middle': [deep('../x/../../outside'), '.'],
        'a link with dots and slashes': [deep('..//../outside'), '.'],
        'a name with dots': [file, '--transform', 's,f,../outside,', 'f'],
        'an absolute name': [file, '--transform', `s,f,../${path.basename(p.dir)}-x,`, 'f'],
        'a pipe': [(dir) => execFileSync('mkfifo', [path.join(dir, 'f')]), '.'],
    };
    const before = tree(p.file('data'));
    for (const [what, [make, ...args]] of Object.entries(bad)) {
        forge(p, make, ...args);
        assert.equal(await p.step('import_data', 1, 'x'), 'E_FORMAT', what);
        assert.deepEqual(tree(p.file('data')), before, what);
        assert.deepEqual(temporary(p), [], what);
    }
    fs.writeFileSync(path.join(p.dir, '.archives', 'x.tar'), 'not an archive');
    assert.equal(await p.step('import_data', 1, 'x'), 'E_FORMAT');
    assert.equal(fs.readFileSync(path.join(p.dir, 'outside'), 'utf8'), 'secret');
    for (const target of ['../f', 'x/..y', '..', './g']) {
        forge(p, deep(target), '.');
        assert.equal(await p.step('import_data', 1, 'x'), 'OK', target);
        assert.deepEqual(tree(p.file('data')), { 'd/': '', 'd/l': target });
    }
});

place('nothing is written through a link of the same archive', {}, async (p) => {
    await created(p);
    fs.mkdirSync(path.join(p.dir, '.archives'));
    const out = path.join(p.dir, 'out');
    fs.mkdirSync(out);
    forge(p, link(out), 'l');
    const two = fs.mkdtempSync(path.join(p.dir, '.forge-'));
    fs.mkdirSync(path.join(two, 'l'));
    fs.writeFileSync(path.join(two, 'l', 'f'), 'x');
    execFileSync('tar', ['-C', two, '-rf', path.join(p.dir, '.archives', 'x.tar'), 'l/f']);
    assert.equal(await p.step('import_data', 1, 'x'), 'E_FORMAT');
    assert.deepEqual(fs.readdirSync(out), []);
});

// ---- one process

place('whoever starts it at the same time: it is one process', {}, async (p) => {
    assert.equal(await p.step('create', 1), 'OK');
    spawn('flock', [p.file('fence'), 'sleep', '0.3'], { stdio: 'ignore' }); // so that all set out together
    await sleep(50);
    const all = await Promise.all(Array.from({ length: 6 }, () => p.step('start', 1)));
    assert.deepEqual(all, Array(6).fill('OK'));
    await p.server();
    await until(() => p.starts() > 0, 'its start');
    assert.equal(p.starts(), 1);
});

// ---- operations

const runs = async (p) => assert.equal(await p.driver(['start']), 'OK', p.said);

place('deleted and preserved, then started: it has its data, and no copy', {}, async (p) => {
    await runs(p);
    put(p, 'count', '41');
    assert.equal(await p.driver(['preserve']), 'OK');
    assert.deepEqual([p.processes(), fs.existsSync(p.file('data')), p.read('record')], [[], false, '']);
    await runs(p);
    assert.equal(p.read('data/count'), '41');
    assert.equal(fs.existsSync(p.file('copy.tar')), false);
});

place('data that cannot be exported is not deleted, and the backend goes on', {}, async (p) => {
    await runs(p);
    put(p, 'count', '41');
    assert.equal(await p.driver(['preserve'], fakeTar(p, 'exit 1')), 'E_IO');
    assert.equal(p.read('data/count'), '41');
    await p.server();
    assert.equal(p.starts(), 2);
});

place('a copy that cannot be restored keeps the backend from running without its data', {}, async (p) => {
    await runs(p);
    put(p, 'count', '41');
    assert.equal(await p.driver(['preserve']), 'OK');
    assert.equal(await p.driver(['start'], fakeTar(p, 'exit 1')), 'E_FORMAT');
    assert.deepEqual(p.processes(), []);
    await runs(p);
    assert.equal(p.read('data/count'), '41');
});

place('the data of an orphan are recovered', {}, async (p) => {
    await runs(p);
    assert.equal(await p.driver(['stop']), 'OK');
    put(p, 'count', '41');
    fs.unlinkSync(p.file('record'));
    await runs(p);
    assert.match(p.said, /data of a backend that was lost is in its preserved copy/);
    assert.equal(p.read('data/count'), '41');
    assert.equal(fs.existsSync(p.file('copy.tar')), false);
});

place('exported while it ran: it runs again, and so after an import', {}, async (p) => {
    await runs(p);
    put(p, 'count', '41');
    assert.equal(await p.driver(['export', 'x']), 'OK');
    await p.server();
    put(p, 'count', '42');
    assert.equal(await p.driver(['import', 'x']), 'OK');
    await p.server();
    assert.equal(p.read('data/count'), '41');
    assert.equal(p.starts(), 2); // the first is in the archive, the second is not
});

// ---- crashes

place('who is killed while tar works takes it along', {}, async (p) => {
    await created(p);
    const mark = path.join(p.dir, 'works');
    const done = p.driver(['step', 'export_data', 1], fakeTar(p, `touch ${mark}; exec sleep 47.11`));
    await until(() => fs.existsSync(mark), 'tar');
    const works = () =>
        fs.readdirSync('/proc').filter((pid) => {
            try {
                return /^sleep\0(47\.11)\0$/.test(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
            } catch {
                return false;
            }
        }).length;
    await until(() => works() === 1, 'it to work');
    p.child.kill('SIGKILL');
    await done;
    await until(() => works() === 0, 'its end', 2000);
});

// At random moments of each operation it is killed, or the process; what comes next finds everything as it was.
for (const [name, ...args] of [['start'], ['preserve'], ['export', 'x'], ['import', 'x']]) {
    place(`killed at any moment of ${name}: one process at most, and all data`, waits, async (p) => {
        await runs(p);
        put(p, 'count', '41');
        assert.equal(await p.driver(['export', 'x']), 'OK');
        for (let i = 0; i < 6; i++) {
            if (name === 'start') await p.driver(['stop']);
            const done = p.driver([name, ...args]);
            await sleep(Math.random() * 120);
            if (i % 3 < 2) p.child.kill('SIGKILL');
            else for (const pid of p.processes()) process.kill(pid, 'SIGKILL');
            await done;
            assert.ok(p.processes().length <= 1);
            await runs(p);
            assert.equal(p.read('data/count'), '41', `round ${i}`);
            await p.server();
        }
        assert.deepEqual(temporary(p), []);
    });
}
