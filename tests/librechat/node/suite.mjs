// LibreChat, played over its own keyv, and processes of ours, on one Redis.   node suite.mjs SOCKET PEER FOLDER
//
// "item N" is of the reference's checklist, "fault: ..." one of its known faults.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { Peer, Relay } from './kit.mjs';
import { LibreChat, connected } from './librechat.mjs';
import { finish, sleep, test, until } from './tap.mjs';

const [socket, program, folder] = process.argv.slice(2);
const redis = await connected(socket);
redis.setMaxListeners(0); // each LibreChat below is one
const peer = new Peer(program, socket);
const kinds = [
    { prefix: '', newer: false },
    { prefix: 'lc', newer: true }
];
const named = ({ prefix, newer }) => `${newer ? 'keyv 5.6.0' : 'keyv 5.3.2'}${prefix && ', with a prefix'}`;

// An id as MongoDB makes it, whom nobody has loaded for.
const fresh = () => randomBytes(12).toString('hex');

// A LibreChat and a store of ours that share their keys.
async function both(kind = kinds[0], { plain = false } = {}) {
    assert.deepEqual(await peer.ask('store', kind.prefix, plain ? 1 : 0), ['OK']);
    return { lc: new LibreChat(redis, kind), user: fresh() };
}

const get = async (...words) => (await peer.ask('get', ...words))[0];
const claim = async (user, token, ttl = 30000, ...fingerprint) =>
    (await peer.ask('claim', user, token, ttl, ...fingerprint))[0];
const set = async (user, token, ttl = 60000, ...fingerprint) =>
    (await peer.ask('set', user, token, ttl, ...fingerprint))[0];

// -- bytes --

const COMMANDS = {
    isLoaded: [1, lc => lc.isLoaded('user1')],
    setLoaded: [2, lc => lc.setLoaded('user1', 3600000)],
    clearLoaded: [3, lc => lc.clearLoaded('user1')],
    acquireLoadLock: [4, lc => lc.acquireLoadLock('user1')],
    releaseLoadLock: [5, lc => lc.releaseLoadLock('user1')]
};
const TTLS = { setLoaded: 3600000, acquireLoadLock: 30000 };

for (const kind of kinds) {
    await test(`${named(kind)}: each command of LibreChat's is ours, byte for byte`, async t => {
        const relay = await Relay.start(`${folder}/theirs`, socket);
        const ours = await Relay.start(`${folder}/ours`, socket);
        const far = await connected(`${folder}/theirs`);
        const other = new Peer(program, `${folder}/ours`);
        t.after(async () => {
            await far.disconnect();
            await other.stop();
            relay.stop();
            ours.stop();
        });
        await other.ask('store', kind.prefix);
        await other.ask('count');
        await other.ask('get', 'user1'); /* now it is connected */
        const lc = new LibreChat(far, kind);
        const clock = Date.now;
        t.after(async () => (Date.now = clock));
        for (const [name, [command, ask]] of Object.entries(COMMANDS)) {
            const said = await relay.during(async () => {
                Date.now = () => 1700000000000;
                await ask(lc);
                Date.now = clock;
            });
            await redis.unlink([lc.lockKey('user1'), lc.loadedKey('user1')]);
            const words = await ours.during(() => other.ask('send', command, 'user1', 1700000000000, TTLS[name] ?? 0));
            assert.equal(words, said, name);
        }
        await redis.unlink([lc.lockKey('user1'), lc.loadedKey('user1')]);
    });

    await test(`${named(kind)}: flag and lock under one key, in the same bytes`, async () => {
        const { lc, user } = await both(kind);
        await lc.setLoaded(user, 60000);
        const theirs = await redis.get(lc.loadedKey(user));
        assert.equal(await set(user, '-', 60000), 'OK');
        const ours = await redis.get(lc.loadedKey(user));
        assert.match(ours, /^\{"value":true,"expires":\d{13}\}$/);
        assert.equal(ours.replace(/\d{13}/, ''), theirs.replace(/\d{13}/, ''));
        const left = JSON.parse(ours).expires - Date.now();
        assert.ok(left > 55000 && left <= 60000 && Math.abs((await redis.pTTL(lc.loadedKey(user))) - left) < 1000);
        await lc.clearLoaded(user);
        assert.equal(await lc.acquireLoadLock(user), true);
        const lock = await redis.get(lc.lockKey(user));
        assert.match(lock, /^\d{13}$/);
        await lc.releaseLoadLock(user);
        assert.equal(await claim(user, 'token'), 'OK');
        const lease = await redis.get(lc.lockKey(user));
        assert.match(lease, /^\d{13}:token$/);
        assert.ok(Math.abs(Number(lease.slice(0, 13)) - Date.now()) < 5000);
    });
}

// -- verdicts --

const past = Date.now() - 100000;
const future = Date.now() + 1000000;
const VALUES = [
    '{"value":true}', '{"value":true,"expires":null}', `{"value":true,"expires":${future}}`,
    `{"value":true,"expires":${past}}`, 'true', '1', 'null', '[]', '{}', '""', '"x"', '{"value":"true"}',
    '{"value":false}', '{"value":1}', '{"value":null}', '{"value":[true]}', '{"value":{}}', '', ' ', '{',
    '{"value":true', '{"value":true}}', "{'value':true}", '{"value":true,}', 'undefined',
    '{"value":":base64:dHJ1ZQ=="}', '{"value":":bigint:1"}', '{"value":"::true"}', '":base64:AAAA"', '":"',
    '{"value":true,"expires":"soon"}', '{"value":true,"expires":true}', '{"value":true,"expires":{}}',
    `{"value":true,"expires":${future}.5}`, `{"value":true,"expires":${past}.5}`,
    '{"value":true,"expires":1e21}', '{"value":true,"expires":1.7e12}', '{"value":true,"expires":-1e400}',
    '{"value":true,"expires":1e400}', '{"value":true,"expires":0}', '{"value":true,"expires":-0}',
    '{"value":true,"expires":01}', '{"value":true,"expires":1.}', '{"value":false,"value":true}',
    '{"value":true,"value":false}', '{"Value":true}', '{"\\u0076alue":true}', ' {\n"value" :\ttrue\r}\n',
    '{"value":true,"x":"\\ud800"}', '{"value":true,"x":"\\x"}', '{"value":true,"x":"\t"}',
    '\ufeff{"value":true}', '{"value":true,"fingerprint":"6162"}', '1700000000000', '1700000000000:token',
    '{"value":true,"__proto__":{"value":false}}', '{"__proto__":{"value":true}}', 'tru', '-', '-1', '2e', 'NaN'
];

// What LibreChat makes of a value, as a code of ours.
async function verdict(lc, user) {
    try {
        return (await lc.isLoaded(user)) ? 'OK' : 'MISS';
    } catch (error) {
        assert.ok(error instanceof SyntaxError, String(error));
        return 'E_FORMAT';
    }
}

async function compare(lc, user, value) {
    await redis.set(lc.loadedKey(user), value);
    const ours = await get(user);
    assert.equal(await redis.get(lc.loadedKey(user)), value); // nothing is deleted
    const claimed = await claim(user, 'token');
    assert.equal(claimed, { OK: 'EXISTS', MISS: 'OK', E_FORMAT: 'E_FORMAT' }[ours], value);
    if (claimed === 'OK') await peer.ask('release', user, 'token');
    assert.equal(ours, await verdict(lc, user), value);
}

for (const kind of kinds) {
    await test(`${named(kind)}: item 1, ours is keyv's verdict on whatever may be stored`, async () => {
        const { lc, user } = await both(kind, { plain: true });
        for (const value of VALUES) {
            if (!value.includes('fingerprint')) await compare(lc, user, value);
        }
    });

    await test(`${named(kind)}: and on what is nearly a flag`, async () => {
        const { lc, user } = await both(kind, { plain: true });
        const parts = ['{', '}', '"value"', ':', ',', 'true', '"expires"', String(past), String(future), 'null', '[',
            ']', '1', '.', 'e', '-', '"', '\\u0061', ' ', '{"value":true', '"x":', '"true"', ':base64:', 'é'];
        for (let n = 0; n < 200; n++) {
            let value = `{"value":true,"expires":${future}}`;
            for (let k = randomInt(3) + 1; k > 0; k--) {
                const at = randomInt(value.length + 1);
                value = value.slice(0, at) + parts[randomInt(parts.length)] + value.slice(at + randomInt(4));
            }
            await compare(lc, user, value);
        }
    }, 60);

    await test(`${named(kind)}: a flag with a fingerprint is one for LibreChat`, async () => {
        const { lc, user } = await both(kind);
        assert.equal(await claim(user, 'token', 30000, 'ab'), 'OK');
        assert.equal(await set(user, 'token', 60000, 'ab'), 'OK');
        assert.match(await redis.get(lc.loadedKey(user)), /^\{"value":true,"expires":\d{13},"fingerprint":"6162"\}$/);
        assert.equal(await lc.isLoaded(user), true);
        assert.equal(await get(user, 'ab'), 'OK');
        assert.equal(await get(user, 'ac'), 'MISS');
        assert.equal(await get(user), 'MISS');
    });
}

await test('a flag of LibreChat counts for one who asks for a fingerprint, if that is the choice', async () => {
    const { lc, user } = await both();
    await lc.setLoaded(user);
    assert.equal(await get(user), 'OK');
    assert.equal(await get(user, 'ab'), 'MISS');
    assert.equal(await claim(user, 'token', 30000, 'ab'), 'OK'); // loads once more, under its own
    assert.equal(await set(user, 'token', 60000, 'ab'), 'OK');
    assert.equal(await lc.isLoaded(user), true);
    const next = await both(kinds[0], { plain: true });
    await next.lc.setLoaded(next.user);
    assert.equal(await get(next.user, 'ab'), 'OK');
    assert.equal(await claim(next.user, 'token', 30000, 'ab'), 'EXISTS');
});

// -- one loads, the other sees --

for (const kind of kinds) {
    await test(`${named(kind)}: LibreChat loads, we see it`, async () => {
        const { lc, user } = await both(kind);
        assert.equal(await get(user), 'MISS');
        let within;
        const loader = async () => {
            within = [await peer.ask('get', user), await peer.ask('claim', user, 'token', 30000)];
        };
        assert.equal(await lc.load(user, loader), 'loads');
        for (const [code, left] of within) {
            assert.ok(code === 'BUSY' && left > 25000 && left <= 30000, `${code} ${left}`);
        }
        const [code, left] = await peer.ask('get', user);
        assert.ok(code === 'OK' && left > 3590000 && left <= 3600000, `${code} ${left}`);
        assert.equal(await claim(user, 'token'), 'EXISTS');
        await lc.clearLoaded(user); // item 10
        assert.equal(await get(user), 'MISS');
    });

    await test(`${named(kind)}: we load, LibreChat sees it`, async () => {
        const { lc, user } = await both(kind);
        assert.equal(await claim(user, 'token'), 'OK');
        assert.equal(await lc.acquireLoadLock(user), false); // item 3
        const waits = lc.load(user, () => assert.fail('it was loaded twice'), { interval: 10 });
        await sleep(30);
        assert.equal(await set(user, 'token'), 'OK');
        assert.equal(await waits, 'waited'); // item 8
        assert.equal(await lc.load(user, () => assert.fail('it was loaded twice')), 'loaded');
        assert.equal(await redis.exists(lc.lockKey(user)), 0);
        assert.equal((await peer.ask('clear', user))[0], 'OK');
        assert.equal(await lc.isLoaded(user), false);
    });
}

await test('item 2: a flag lives as long as it is told', async () => {
    const { lc, user } = await both();
    assert.equal(await set(user, '-', 200), 'OK');
    assert.equal(await lc.isLoaded(user), true);
    await until(async () => !(await lc.isLoaded(user)), 'its end');
    assert.equal(await get(user), 'MISS');
    await lc.setLoaded(user, 200);
    assert.equal(await get(user), 'OK');
    await until(async () => (await get(user)) === 'MISS', 'its end');
});

await test('items 5 and 14: a holder that died is waited for to the end of its lock, on either side', async () => {
    const { lc, user } = await both();
    assert.equal(await lc.acquireLoadLock(user, 300), true);
    const [code, left] = await peer.ask('claim', user, 'token', 30000);
    assert.ok(code === 'BUSY' && left <= 300);
    await sleep(Number(left) + 1);
    assert.equal(await claim(user, 'token', 300), 'OK');
    const outcome = await lc.load(user, async () => {}, { wait: 1000, interval: 20 });
    assert.equal(outcome, 'loads');
    assert.equal(await get(user), 'OK');
});

await test('item 7: users do not meet', async () => {
    const { lc, user } = await both();
    const other = fresh();
    assert.equal(await claim(user, 'token'), 'OK');
    assert.equal(await lc.acquireLoadLock(other), true);
    assert.equal(await claim(other, 'token'), 'BUSY');
    assert.equal(await set(user, 'token'), 'OK');
    assert.equal(await lc.isLoaded(other), false);
});

await test('an id that is none of LibreChat reaches no key', async () => {
    await both();
    const before = await redis.dbSize();
    for (const id of ['a:b', 'u*', '{u}', 'u v', 'é', '[u]', 'u\n', '../u'.replace('.', '?')]) {
        assert.equal((await peer.ask('claim', id, 'token', 30000))[0], 'E_ID', id);
    }
    assert.equal(await redis.dbSize(), before);
});

// -- contention --

await test('items 3 and 4: of any number on each side one holds the lock', async t => {
    const kind = kinds[1];
    const peers = Array.from({ length: 6 }, () => new Peer(program, socket));
    const clients = await Promise.all(Array.from({ length: 6 }, () => connected(socket)));
    t.after(async () => {
        await Promise.all(peers.map(p => p.stop()));
        await Promise.all(clients.map(c => c.disconnect()));
    });
    await Promise.all(peers.map(p => p.ask('store', kind.prefix)));
    const lcs = clients.map(c => new LibreChat(c, kind));
    let theirs = 0;
    for (let round = 0; round < 60; round++) {
        const user = fresh();
        const ask = {
            lc: lcs.map(lc => () => lc.acquireLoadLock(user)),
            us: peers.map((p, n) => async () => (await p.ask('claim', user, `t${n}`, 30000))[0] === 'OK')
        };
        const all = round % 2 ? [...ask.lc, ...ask.us] : [...ask.us, ...ask.lc];
        const won = await Promise.all(all.map(f => f()));
        assert.equal(won.filter(Boolean).length, 1, `round ${round}`);
        if (await lcs[0].redis.get(lcs[0].lockKey(user)).then(v => /^\d+$/.test(v))) theirs++;
    }
    console.log(`# of 60 locks LibreChat had ${theirs}`);
}, 60);

await test('load once: never two at it, and none of ours once it is loaded', async t => {
    const kind = kinds[0];
    const peers = Array.from({ length: 4 }, () => new Peer(program, socket));
    const clients = await Promise.all(Array.from({ length: 4 }, () => connected(socket)));
    t.after(async () => {
        await Promise.all(peers.map(p => p.stop()));
        await Promise.all(clients.map(c => c.disconnect()));
    });
    await Promise.all(peers.map(p => p.ask('store', kind.prefix)));
    const lcs = clients.map(c => new LibreChat(c, kind));
    let ours = 0;
    for (let round = 0; round < 15; round++) {
        const user = fresh();
        let at = 0;
        let loaded = false;
        const loader = async () => {
            assert.equal(++at, 1);
            await sleep(randomInt(20));
            at--;
        };
        const us = async (p, n) => {
            if (round % 2) await sleep(2 * n); // LibreChat asks twice before it loads
            for (;;) {
                const [code] = await p.ask('claim', user, `t${n}`, 30000);
                if (code === 'EXISTS') return;
                if (code === 'OK') {
                    assert.ok(!loaded, 'it was loaded already');
                    ours++;
                    await loader();
                    const [done] = await p.ask('set', user, `t${n}`, 60000);
                    loaded = true;
                    assert.equal(done, 'OK');
                    return;
                }
                assert.equal(code, 'BUSY');
                await sleep(5);
            }
        };
        await Promise.all([
            ...lcs.map(lc => lc.load(user, loader, { interval: 5 }).then(() => (loaded = true))),
            ...peers.map(us)
        ]);
        assert.equal(await lcs[0].isLoaded(user), true);
        assert.equal(await redis.exists(lcs[0].lockKey(user)), 0);
    }
    console.log(`# in 15 rounds we loaded ${ours} times, LibreChat ${lcs.reduce((n, lc) => n + lc.loads, 0)}`);
}, 60);

// -- faults --

await test('fault: its release deletes our lease; then our flag is refused', async () => {
    const { lc, user } = await both();
    assert.equal(await claim(user, 'token'), 'OK');
    await lc.releaseLoadLock(user); // item 6: late, by one whose own lock ran out
    assert.equal((await peer.ask('extend', user, 'token', 30000))[0], 'LOST');
    assert.equal(await set(user, 'token'), 'LOST');
    assert.equal(await lc.isLoaded(user), false);
    assert.equal(await lc.acquireLoadLock(user), true);
    assert.equal(await set(user, 'token'), 'LOST'); // while another one loads
    assert.equal((await peer.ask('release', user, 'token'))[0], 'LOST');
    assert.equal(await redis.exists(lc.lockKey(user)), 1); // and its lock is its own
});

await test('fault: its holder is late; what it sets is set, and our lease stays ours', async () => {
    const { lc, user } = await both();
    assert.equal(await claim(user, 'token'), 'OK');
    await lc.setLoaded(user);
    assert.equal(await get(user), 'OK');
    assert.equal((await peer.ask('extend', user, 'token', 30000))[0], 'OK');
    assert.equal(await set(user, 'token'), 'OK');
});

await test('fault: its reader, late, deletes a flag that is new; ours deletes none', async () => {
    const { lc, user } = await both();
    const expired = `{"value":true,"expires":${past}}`;
    await redis.set(lc.loadedKey(user), expired);
    assert.equal(await get(user), 'MISS');
    assert.equal(await claim(user, 'token'), 'OK');
    assert.equal(await redis.get(lc.loadedKey(user)), expired);
    const read = lc.store.get.bind(lc.store);
    lc.store.get = async key => {
        const value = await read(key); // the one that has expired; and before it goes on:
        assert.equal(await set(user, 'token'), 'OK');
        assert.equal(await get(user), 'OK');
        return value;
    };
    assert.equal(await lc.isLoaded(user), false);
    lc.store.get = read;
    assert.equal(await redis.exists(lc.loadedKey(user)), 0); // keyv's UNLINK
    assert.equal(await get(user), 'MISS'); // it is loaded once more, that is all
    assert.equal(await claim(user, 'token'), 'OK');
});

await test('fault: whoever clears all behind its prefix ends our lease; fences grow all the same', async () => {
    const { lc, user } = await both(kinds[1]);
    const [, , before] = await peer.ask('claim', user, 'a', 30000);
    await set(fresh(), '-');
    await lc.cache.clear();
    assert.deepEqual(await redis.keys('lc::*'), []);
    assert.equal(await set(user, 'a'), 'LOST');
    const [code, , after] = await peer.ask('claim', user, 'b', 30000);
    assert.ok(code === 'OK' && Number(after) > Number(before));
});

await test('fault: a retry after the lock was won looks at the flag again; LibreChat does not (item 13)', async () => {
    const { lc, user } = await both();
    assert.equal(await lc.acquireLoadLock(user), true);
    assert.equal(await claim(user, 'token'), 'BUSY');
    await lc.setLoaded(user);
    await lc.releaseLoadLock(user);
    assert.equal(await claim(user, 'token'), 'EXISTS');
    assert.equal(await lc.acquireLoadLock(user), true); // it would load again
    await lc.releaseLoadLock(user);
});

// -- waiting, and what it costs --

await test('we are told of what LibreChat does: a flag that is set or cleared, a lock that is released', async () => {
    const { lc, user } = await both();
    const told = async () => (await peer.ask('told', user, 3000))[0];
    assert.equal(await lc.acquireLoadLock(user), true);
    for (const [what, code] of [
        [() => lc.setLoaded(user), 'OK'],
        [() => lc.clearLoaded(user), 'BUSY'],
        [() => lc.releaseLoadLock(user), 'MISS'],
        [() => lc.acquireLoadLock(user), 'BUSY']
    ]) {
        await get(user);
        await peer.ask('told', user, 20); // of the connection, or of what was before
        await get(user);
        assert.equal((await peer.ask('told', user, 20))[0], 'E_TIMEOUT');
        await what();
        assert.equal(await told(), 'OK', code);
        assert.equal(await get(user), code);
    }
});

await test('a request is one round trip; a claim past a flag that does not count, two', async () => {
    const { lc, user } = await both();
    await get(user);
    const cost = async what => {
        const before = Number((await peer.ask('count'))[1]);
        await what();
        return Number((await peer.ask('count'))[1]) - before;
    };
    assert.equal(await cost(() => get(user)), 1);
    assert.equal(await cost(() => claim(user, 'token')), 1);
    assert.equal(await cost(() => peer.ask('extend', user, 'token', 30000)), 1);
    assert.equal(await cost(() => set(user, 'token')), 1);
    assert.equal(await cost(() => claim(user, 'token')), 1);
    assert.equal(await cost(() => claim(user, 'token', 30000, 'ab')), 2);
    assert.equal(await cost(() => peer.ask('clear', user, 1)), 1);
});

await peer.stop();
await redis.disconnect();
process.exit(finish());
