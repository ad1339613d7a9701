'use strict';
// Backends that the gateway runs: they, and gateways, are killed at any moment.

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { Gateway, assert, sleep, test, until } = require('./kit.js');
const { COMMAND, SERVER, place } = require('./place.js');
const { Redis } = require('./redis.js');

const waits = { waits: true };

const up = (g, id) => g.metric('backend_up', `backend="${id}"`);
const isUp = (g, id = 'b1') => until(async () => (await up(g, id)) === 1, `${id} to be up`);
const state = (g, name) => g.metric('backend_state', `backend="b1",state="${name}"`);
const mode = (file) => (fs.statSync(file).mode & 0o777).toString(8);

// The next answer to a session's call, however long that takes.
async function called(g, sid) {
    let reply;
    await until(async () => {
        reply = await g.call(sid);
        return reply.status === 200;
    }, 'an answer');
    return reply.json.result;
}

// ---- one gateway

place('a command is run on a port, in a directory of its own', {}, async (p) => {
    const g = await p.start({}, `${COMMAND} {port} {data} {x}`);
    await isUp(g);
    const { pid, ...about } = await called(g, await g.session());
    const data = p.file('data');
    assert.equal(pid, await p.server());
    const port = /^port (\d+)\n/.exec(p.read('record'))[1];
    assert.deepEqual(about, { count: 1, args: [port, data, '{x}'], cwd: data, PORT: port, MCP_DATA: data });
    assert.deepEqual(['.', 'data', 'record', 'log'].map((name) => mode(p.file(name))), ['700', '700', '600', '600']);
    assert.equal((await g.request('GET', { path: '/healthz' })).text, 'ok\nb1 running, up\n');
    assert.equal(await state(g, 'running'), 1);
    await g.stop();
    assert.deepEqual(p.processes(), []);
});

place('after a stop it is where it was, with its data', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    assert.equal((await called(g, await g.session())).count, 1);
    const port = /^port \d+\n/.exec(p.read('record'))[0];
    await g.stop();
    const h = await p.start();
    await isUp(h);
    assert.equal((await called(h, await h.session())).count, 2);
    assert.equal(/^port \d+\n/.exec(p.read('record'))[0], port);
});

place('its port is somebody else\'s: it gets another one', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    const port = Number(/^port (\d+)\n/.exec(p.read('record'))[1]);
    await g.stop();
    const other = net.createServer().listen(port, '127.0.0.1');
    await until(() => other.listening, 'the port');
    const h = await p.start();
    await isUp(h);
    assert.notEqual((await called(h, await h.session())).PORT, String(port));
    other.close();
});

place('names, and several of them', {}, async (p) => {
    const g = await p.start({}, `notes: ${COMMAND}`, COMMAND, `tasks: ${COMMAND}`);
    for (const id of ['notes', 'b2', 'tasks']) await isUp(g, id);
    const { text } = await g.request('GET', { path: '/healthz' });
    assert.equal(text, 'ok\nnotes running, up\nb2 running, up\ntasks running, up\n');
    const where = [];
    for (let i = 0; i < 3; i++) where.push((await called(g, await g.session())).cwd);
    assert.deepEqual(where.sort(), ['b2', 'notes', 'tasks'].map((id) => p.file('data', id)));
});

place('one that is killed is started again; its sessions are initialised again, its data are there', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    const sid = await g.session();
    assert.equal((await called(g, sid)).count, 1);
    const pid = await p.server();
    process.kill(pid, 'SIGKILL');
    const after = await called(g, sid);
    assert.equal(after.count, 2);
    assert.notEqual(after.pid, pid);
    assert.equal(fs.existsSync(`/proc/${pid}`), false); // nor is it a zombie
    assert.equal(await g.metric('backend_deaths_total'), 1);
    assert.equal(await g.metric('reinitialisations_total'), 1);
    assert.match(g.err, /^gateway: backend b1: backend died \(\d+\)$/m);
});

place('what it leaves behind when it dies goes before it is started again', {}, async (p) => {
    const g = await p.start({}, `node ${SERVER} & wait`);
    await isUp(g);
    await until(() => p.processes().length === 2, 'shell and server');
    const [shell] = /(?<=pid )\d+/.exec(p.read('record'));
    process.kill(Number(shell), 'SIGKILL');
    await until(() => p.starts() === 2, 'the second start');
    await isUp(g);
    assert.equal(p.processes().length, 2);
});

place('one that does not end when it is told to is killed', waits, async (p) => {
    const g = await p.start({}, `trap '' TERM; node ${SERVER} & while :; do sleep 1; done`);
    await isUp(g);
    const begin = Date.now();
    await g.stop();
    assert.ok(Date.now() - begin >= 2900);
    assert.deepEqual(p.processes(), []);
});

place('one that dies at once is started later and later; meanwhile it is 503', waits, async (p) => {
    const g = await p.start({}, 'date +%s%3N >>starts; exit 3');
    await until(() => p.starts() >= 5, 'the fifth start');
    const at = p.read('data/starts').trim().split('\n').map(Number);
    const gaps = at.slice(1, 5).map((t, i) => t - at[i]);
    [100, 200, 400, 800].forEach((ms, i) => assert.ok(gaps[i] >= ms && gaps[i] < ms + 400, `${gaps}`));
    const reply = await g.initialize();
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal((await g.request('GET', { path: '/healthz' })).status, 503);
    assert.match(g.err, /^gateway: backend b1: operation on a backend failed \(network_up: E_IO\)$/m);
});

place('what it says is kept, but not too much of it', {}, async (p) => {
    const g = await p.start({}, `head -c 4200000 /dev/zero; echo ready; ${COMMAND}`);
    await isUp(g);
    await until(() => fs.statSync(p.file('log')).size < 1000, 'the log to begin anew');
    await g.stop();
    await isUp(await p.start({}, `echo said; echo more >&2; ${COMMAND}`));
    assert.equal(p.read('log'), 'said\nmore\n');
    assert.ok(fs.existsSync(p.file('log.old')));
});

place('one of two that cannot be started does not keep the other from it', {}, async (p) => {
    const g = await p.start({}, 'sleep 60', COMMAND);
    await isUp(g, 'b2');
    assert.equal((await called(g, await g.session())).cwd, p.file('data', 'b2'));
});

// ---- a gateway that dies

place('a process that a gateway left is found by the next one, which sees it end', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    const pid = await p.server();
    await p.kill(g);
    const h = await p.start();
    await isUp(h);
    const sid = await h.session();
    assert.equal((await called(h, sid)).pid, pid);
    process.kill(pid, 'SIGKILL');
    assert.notEqual((await called(h, sid)).pid, pid);
    assert.equal(p.starts(), 2);
    await h.stop();
    assert.deepEqual(p.processes(), []);
});

place('--leave-running: so it is after a stop', {}, async (p) => {
    const g = await p.start({ 'leave-running': true });
    await isUp(g);
    const pid = await p.server();
    await g.stop();
    const h = await p.start();
    await isUp(h);
    assert.equal((await called(h, await h.session())).pid, pid);
    assert.equal(p.starts(), 1);
});

place('a gateway killed at any moment leaves one process at most, and all data', waits, async (p) => {
    let last = 0;
    for (let i = 0; i < 14; i++) {
        const g = await p.start();
        if (i % 3 === 2) await isUp(g);
        if (i % 3 === 2) last = (await called(g, await g.session())).count;
        if (i % 3 === 2) g.process.kill('SIGTERM');
        await sleep(Math.random() * 60);
        await p.kill(g);
        assert.ok(p.processes().length <= 1);
    }
    const g = await p.start();
    await isUp(g);
    await p.server();
    assert.equal((await called(g, await g.session())).count, last + 1);
});

place('a pid that is another process\'s by now is let alone', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    await g.stop();
    const [, port, start, boot] = /port (\d+)\npid \d+ (\d+) (\S+)/.exec(p.read('record'));
    fs.writeFileSync(p.file('record'), `port ${port}\npid ${process.pid} ${Number(start)} ${boot}\n`);
    const h = await p.start();
    await isUp(h);
    assert.notEqual(await p.server(), process.pid);
});

place('a fence of a clock that was ahead, or of another store, is no obstacle', {}, async (p) => {
    const g = await p.start();
    await isUp(g);
    await g.stop();
    const ahead = String(Date.now() * 1000).padStart(20, '0');
    fs.writeFileSync(p.file('fence'), `${ahead}\n`);
    await isUp(await p.start());
    assert.ok(p.read('fence') > ahead);
});

place('a directory is one gateway\'s, if they share no Redis', {}, async (p) => {
    await p.start();
    const args = ['--listen', '127.0.0.1:0', '--backend', COMMAND, '--data', p.dir];
    const { status, stderr } = await Gateway.ends(...args);
    assert.equal(status, 1);
    assert.match(stderr, /another gateway has it/);
});

test('backends that cannot be: said, and status 1 or 2', async () => {
    const start = (...args) => Gateway.ends('--listen', '127.0.0.1:0', ...args);
    const data = ['--data', path.join(os.tmpdir(), 'mcpsess-none', 'deeper')];
    assert.match((await start('--backend', 'true', ...data)).stderr, /--data .*: No such file or directory/);
    assert.match((await start('--backend', 'https://127.0.0.1/mcp')).stderr, /not an http:\/\/ URL/);
    const url = ['--backend', 'http://127.0.0.1:1/mcp'];
    for (const more of [['--data', '.'], ['--leave-running'], ['--backend-lease-ms', '1000']]) {
        const { status, stderr } = await start(...url, ...more);
        assert.equal(status, 2);
        assert.match(stderr, /need a command/);
    }
});

// ---- two gateways on one Redis

function two(name, { more, ...options }, body) {
    place(`redis: ${name}`, options, async (p) => {
        const redis = await Redis.start();
        try {
            const g = await p.start({ redis: redis.at, ...more });
            await isUp(g);
            const h = await p.start({ redis: redis.at, ...more });
            await isUp(h);
            await body(p, g, h, redis);
            for (const each of p.gateways) if (each.status === undefined) await each.stop();
        } finally {
            await redis.stop();
        }
    });
}

if (Redis.there) {
    const patient = { more: { 'backend-lease-ms': 60000 } };

    two('two gateways run one process, and both serve it', {}, async (p, g, h) => {
        const pid = await p.server();
        const sid = await g.session();
        assert.equal((await called(g, sid)).pid, pid);
        assert.equal((await called(h, sid)).pid, pid);
        assert.deepEqual([await state(g, 'running'), await state(h, 'elsewhere')], [1, 1]);
        process.kill(pid, 'SIGKILL');
        assert.equal((await called(h, sid)).count, 3);
        assert.equal(p.starts(), 2);
        await sleep(1000);
        assert.deepEqual([await state(g, 'running'), await state(h, 'elsewhere')], [1, 1]);
    });

    two('the owner is killed: the other one has the process then', {}, async (p, g, h) => {
        const pid = await p.server();
        const sid = await h.session();
        await p.kill(g);
        await until(async () => (await state(h, 'running')) === 1, 'the takeover');
        assert.equal(await h.metric('backend_takeovers_total'), 1);
        assert.equal((await called(h, sid)).pid, pid);
        process.kill(pid, 'SIGKILL');
        assert.notEqual((await called(h, sid)).pid, pid);
    });

    two('the owner and the process are killed: the other one starts it', {}, async (p, g, h) => {
        const pid = await p.server();
        const sid = await g.session();
        await called(h, sid);
        await p.kill(g);
        process.kill(pid, 'SIGKILL');
        assert.equal((await called(h, sid)).count, 2);
        assert.equal(p.starts(), 2);
    });

    two('the owner is stopped: the other one starts it, without waiting for a lease', patient, async (p, g, h) => {
        const sid = await g.session();
        await called(h, sid);
        await g.stop();
        assert.equal((await called(h, sid)).count, 2);
        assert.equal(p.starts(), 2);
    });

    two('with Redis away the process runs on; then it has an owner again', waits, async (p, g, h, redis) => {
        const pid = await p.server();
        const sid = await g.session();
        for (const each of [g, h]) await called(each, sid);
        await redis.kill();
        await sleep(1500);
        for (const each of [g, h]) assert.equal((await called(each, sid)).pid, pid);
        assert.ok((await g.metric('backend_failures_total')) + (await h.metric('backend_failures_total')) < 20);
        await redis.run();
        const owners = async () => (await state(g, 'running')) + (await state(h, 'running'));
        await until(async () => (await owners()) === 1, 'one owner');
        process.kill(pid, 'SIGKILL');
        await until(() => p.starts() === 2, 'the second start');
        for (const each of [g, h]) await isUp(each);
        assert.notEqual((await called(g, await g.session())).pid, pid);
    });

    two('with Redis away a stop ends, and what is still its own with it', patient, async (p, g, h, redis) => {
        await redis.kill();
        await g.stop();
        assert.deepEqual(p.processes(), []);
    });

    two('gateways and the process are killed again and again', waits, async (p, g, h, redis) => {
        const gateways = [g, h];
        let [sid, last] = [await g.session(), 0];
        for (let i = 0; i < 12; i++) {
            const one = i % 2;
            const [pid] = p.processes();
            if (i % 3 !== 0 && pid) process.kill(pid, 'SIGKILL');
            await p.kill(gateways[one]);
            await sleep(Math.random() * 300);
            assert.ok(p.processes().length <= 1);
            gateways[one] = await p.start({ redis: redis.at });
            const { count } = await called(gateways[i % 4 < 2 ? 0 : 1], sid);
            assert.ok(count > last, `${count} after ${last}`);
            last = count;
        }
        await p.server();
    });

    two('the owner sleeps past its lease: what it wakes to is not its own any more', {}, async (p, g, h) => {
        const pid = await p.server();
        const sid = await h.session();
        g.process.kill('SIGSTOP');
        await until(async () => (await state(h, 'running')) === 1, 'the takeover');
        process.kill(pid, 'SIGKILL');
        await called(h, sid);
        const second = await p.server();
        g.process.kill('SIGCONT');
        await until(async () => (await g.metric('backend_leases_lost_total')) === 1, 'it to notice');
        await until(async () => (await state(g, 'elsewhere')) === 1, 'it to see whose it is');
        await sleep(1000);
        assert.equal(await p.server(), second);
        assert.equal((await called(g, sid)).pid, second);
        assert.equal(p.starts(), 2);
        await g.stop();
        assert.equal(await p.server(), second);
    });
}
