'use strict';
// Two gateways on one Redis ask one directory: once for each user, whatever becomes of them.

const { Gateway, assert, sleep, until } = require('./kit.js');
const { as } = require('./directory.js');
const { pair } = require('./redis.js');

const begin = (g, user) => g.initialize(as(user));
const call = (g, sid, user) => g.call(sid, 'tools/list', 7, as(user));
const where = (reply) => reply.json.result.backend ?? reply.json.result.serverInfo.name;
const range = (n) => Array.from({ length: n }, (_, i) => i);
const sum = async (gateways, name) => (await Promise.all(gateways.map((g) => g.metric(name)))).reduce((x, y) => x + y);

async function bothUp(...gateways) {
    for (const g of gateways) await until(async () => (await g.metric('redis_up')) === 1, 'it to be connected');
}

async function die(g) {
    g.process.kill('SIGKILL');
    await g.exited;
    g.status = 0;
}

for (const tracking of ['keys', 'off']) {
    const options = { directory: true, tracking };
    pair(`many at two gateways, one question, tracking ${tracking}`, 2, options, async (redis, g, h, a, b, d) => {
        await bothUp(g, h);
        d.hook = (user, res) => setTimeout(() => d.answer(user, res), 100);
        for (const user of ['alice', 'bob']) d.lists[user] = user === 'alice' ? [a, b] : [b];
        const replies = await Promise.all(range(40).map((i) => begin(i % 2 ? g : h, i % 4 < 2 ? 'alice' : 'bob')));
        for (const r of replies) assert.equal(r.status, 200, r.text);
        assert.deepEqual(d.asked.sort(), ['alice', 'bob']);
        for (const each of [g, h]) assert.equal(where(await begin(each, 'bob')), 'B');
        assert.equal((await begin(g, 'carol')).status, 403);
        assert.equal((await begin(h, 'carol')).status, 403);
        assert.deepEqual(d.asked, ['alice', 'bob', 'carol']);
        assert.equal(await sum([g, h], 'directory_loads_flagged_total'), 3);
        assert.ok((await sum([g, h], 'directory_shared_total')) >= 30);
    });
}

pair('a list is good for its TTL at both', 2, { directory: true, 'directory-ttl': 1 }, async (redis, g, h, a, b, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    assert.equal(where(await begin(g, 'alice')), 'A');
    d.lists = { alice: [b] };
    assert.equal(where(await begin(h, 'alice')), 'A');
    await sleep(1050);
    for (const each of [h, g]) assert.equal(where(await begin(each, 'alice')), 'B');
    assert.equal(d.asked.length, 2);
});

const short = { directory: true, 'directory-lease-ms': 500 };
pair('a gateway dies while the directory is silent: the other one asks', 1, short, async (redis, g, h, a, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    d.hook = () => d.asked.length === 1;
    begin(g, 'alice').catch(() => {});
    await until(() => d.asked.length === 1, 'the first question');
    const waiting = range(3).map(() => begin(h, 'alice'));
    await sleep(100);
    const start = Date.now();
    await die(g);
    for (const each of waiting) assert.equal((await each).status, 200);
    const took = Date.now() - start;
    assert.ok(took < 500 + 1000, `${took} ms`);
    assert.deepEqual(d.asked, ['alice', 'alice']);
    assert.equal(await h.metric('directory_taken_over_total'), 1);
});

pair('an old answer to a gateway that was frozen counts for nothing', 2, short, async (redis, g, h, a, b, d) => {
    await bothUp(g, h);
    let late;
    d.lists = { alice: [b] };
    d.hook = (user, res) => d.asked.length === 1 && (late = res);
    const first = begin(g, 'alice');
    await until(() => late, 'the first question');
    g.process.kill('SIGSTOP');
    late.end(JSON.stringify({ backends: [a.url] }));
    assert.equal(where(await begin(h, 'alice')), 'B');
    g.process.kill('SIGCONT');
    assert.equal(where(await first), 'B');
    for (const each of [g, h]) assert.equal(where(await begin(each, 'alice')), 'B');
    assert.equal(d.asked.length, 2);
    assert.equal(await g.metric('directory_loads_lost_total'), 1);
});

pair('what fails is not kept, for either', 1, { directory: true }, async (redis, g, h, a, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    d.hook = (user, res) => d.asked.length <= 2 && res.writeHead(500).end();
    for (const each of [g, h]) assert.equal((await begin(each, 'alice')).status, 503);
    for (const each of [g, h]) assert.equal((await begin(each, 'alice')).status, 200);
    assert.equal(d.asked.length, 3);
    const keys = (await redis.cli('KEYS', 'mcpsess:l:*')).split('\n');
    assert.ok(keys.some((key) => key.includes('b:alice')), `${keys}`);
});

// A gateway with another configuration does not take the list for its own.
pair('a list of another directory does not count', 2, { directory: true }, async (redis, g, h, a, b, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    assert.equal(where(await begin(g, 'alice')), 'A');
    d.lists = { alice: [b] };
    const options = { redis: redis.at, directory: `${d.url}?v=2`, 'principal-header': 'X-User' };
    const other = await Gateway.start([], options);
    assert.equal(where(await begin(other, 'alice')), 'B');
    assert.match(d.seen[1].url, /\?v=2&user=alice$/);
    assert.equal(d.asked.length, 2);
    await other.stop();
});

pair('a session is served where its backend was never heard of', 1, { directory: true }, async (redis, g, h, a, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    const sid = await g.session(as('alice'));
    assert.equal(where(await call(h, sid, 'alice')), 'A');
    assert.equal((await call(h, sid, 'bob')).status, 404);
    assert.deepEqual(d.asked, ['alice']);
});

const brief = { directory: true, 'directory-ttl': 4 };
pair('a backend dies: its sessions move for both, lists are loaded anew', 2, brief, async (redis, g, h, a, b, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a], bob: [a, b] };
    const sids = { alice: [], bob: [] };
    for (const user of ['alice', 'bob']) {
        for (const i of range(6)) sids[user].push(await (i % 2 ? g : h).session(as(user)));
    }
    assert.deepEqual(d.asked, ['alice', 'bob']);
    await sleep(550); // an eighth of the TTL
    a.kill();
    d.lists = { alice: [b], bob: [b] };
    const both = ([user, list]) => list.flatMap((sid) => [call(g, sid, user), call(h, sid, user)]);
    const replies = await Promise.all(Object.entries(sids).flatMap(both));
    replies.forEach((r) => assert.equal(where(r), 'B', r.text));
    await redis.told();
    for (const [user, list] of Object.entries(sids)) {
        for (const sid of list) {
            const [x, y] = [await call(g, sid, user), await call(h, sid, user)];
            assert.deepEqual(x.json.result, y.json.result);
            assert.equal(where(x), 'B');
        }
    }
    for (const each of [g, h]) for (const user of ['alice', 'bob']) assert.equal(where(await begin(each, user)), 'B');
    const again = d.asked.slice(2).sort();
    assert.deepEqual([...new Set(again)], ['alice', 'bob']);
    assert.ok(again.length <= 4, `${again}`); // each gateway may find out by itself
});

for (const [tracking, most] of [['keys', 10], ['off', 30]]) {
    const options = { directory: true, tracking, waits: true };
    pair(`who waits for another's question sleeps, tracking ${tracking}`, 1, options, async (redis, g, h, a, d) => {
        await bothUp(g, h);
        let answer;
        d.lists = { alice: [a] };
        d.hook = (user, res) => (answer = () => d.answer(user, res));
        const waiting = [begin(g, 'alice')];
        await until(() => answer, 'the question');
        for (let i = 0; i < 20; i++) waiting.push(begin(h, 'alice'));
        const names = ['redis_steps_total', 'redis_commands_total'];
        const counts = () => Promise.all([g, h].flatMap((each) => names.map((name) => each.metric(name))));
        await sleep(300);
        const before = await counts();
        await sleep(2000);
        const spent = (await counts()).map((n, i) => n - before[i]);
        answer();
        for (const each of waiting) assert.equal((await each).status, 200);
        if (redis.tracks) assert.ok(spent[3] <= most, `${spent}`);
        assert.ok(spent[0] <= 30 && spent[2] <= 60, `${spent}`);
        assert.equal(d.asked.length, 1);
    });
}

pair('CLIENT KILL goes unnoticed; FLUSHALL makes them ask again', 1, { directory: true }, async (redis, g, h, a, d) => {
    for (const i of range(10)) {
        await bothUp(g, h);
        d.lists[i] = [a];
        await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal');
        const replies = await Promise.all([g, h, g, h].map((each) => begin(each, i)));
        for (const reply of replies) assert.equal(reply.status, 200, reply.text);
    }
    assert.deepEqual([...new Set(d.asked)], range(10).map(String));
    assert.ok(d.asked.length <= 12, `${d.asked}`);
    await redis.cli('FLUSHALL');
    const before = d.asked.length;
    for (const each of [g, h]) assert.equal((await begin(each, 3)).status, 200);
    assert.equal(d.asked.length, before + 1);
});

pair('Redis is away: 503, and it goes on when it is back', 1, { directory: true }, async (redis, g, h, a, d) => {
    await bothUp(g, h);
    d.lists = { alice: [a] };
    const sid = await g.session(as('alice'));
    assert.equal((await call(g, sid, 'alice')).status, 200);
    await redis.kill();
    const reply = await begin(h, 'alice');
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal((await call(g, sid, 'alice')).status, 200);
    await redis.run();
    await until(async () => (await begin(h, 'alice')).status === 200, 'Redis to be back');
});
