// ToolHive's commands from a Node client, and a process of ours, on one Redis.   node suite.mjs SOCKET PEER FOLDER

import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { Peer, Relay, ToolHive, client, goJson, layouts, record } from './kit.mjs';
import { finish, test } from './tap.mjs';

const [socket, program, folder] = process.argv.slice(2);
const UUID = '0b9c7a52-6a0e-4b57-9f4a-1d2e3f405162';
const { vmcp, proxy, odd } = layouts;

const redis = await client(socket);
const peer = new Peer(program, socket);
const of = layout => new ToolHive(redis, layout);

// A session that nobody has used, in this layout.
async function fresh(layout) {
    await peer.layout(layout);
    return { id: randomUUID(), go: of(layout) };
}

// -- what ToolHive writes --

const backends = {
    'vmcp.backend.ids': 'workload-a,workload-b',
    'vmcp.backend.session.workload-a': 'sess-a',
    'vmcp.backend.session.workload-b': 'sess-b',
    'vmcp.identity.binding': 'unauthenticated'
};
const vmcpVectors = {
    'a placeholder': ['{}', { state: 0 }],
    'terminated': ['{"terminated":"true"}', { state: 2 }],
    'two backends': [
        '{"vmcp.backend.ids":"workload-a,workload-b","vmcp.backend.session.workload-a":"sess-a",' +
            '"vmcp.backend.session.workload-b":"sess-b","vmcp.identity.binding":"unauthenticated"}',
        { pairs: backends }
    ],
    'one of them expired': [
        '{"vmcp.backend.ids":"workload-b","vmcp.backend.session.workload-b":"sess-b",' +
            '"vmcp.identity.binding":"unauthenticated"}',
        {
            pairs: {
                'vmcp.backend.ids': 'workload-b',
                'vmcp.backend.session.workload-b': 'sess-b',
                'vmcp.identity.binding': 'unauthenticated'
            }
        }
    ],
    'the last one gone': [
        '{"vmcp.backend.ids":"","vmcp.identity.binding":"unauthenticated"}',
        { pairs: { 'vmcp.backend.ids': '', 'vmcp.identity.binding': 'unauthenticated' } }
    ],
    'bound to a user': [
        '{"vmcp.identity.binding":"https://issuer.example\\u0000user-1"}',
        { issuer: 'https://issuer.example', subject: 'user-1' }
    ],
    'before identity binding': [
        '{"vmcp.token.hash":"h","vmcp.token.salt":"s"}',
        { pairs: { 'vmcp.token.hash': 'h', 'vmcp.token.salt': 's' } }
    ],
    'every kind of escape': [
        '{"k":"\\u003c\\u0026\\u003e\\u2028é\u007f\\t\\b\\u0001\\"\\\\"}',
        { pairs: { k: '<&>\u2028é\u007f\t\b\u0001"\\' } }
    ]
};
const noon = Date.UTC(2026, 3, 8, 12);
const proxyVectors = {
    'with metadata': [
        `{"id":"${UUID}","type":"mcp","created_at":"2026-04-08T12:00:00.123456789Z",` +
            '"updated_at":"2026-04-08T12:00:00.123456789Z","metadata":{"backend_url":"http://10.0.0.5:8080",' +
            '"init_body":"{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1,\\"method\\":\\"initialize\\"}"}}',
        {
            created: noon + 123,
            updated: noon + 123,
            pairs: {
                '\0created_at': '"2026-04-08T12:00:00.123456789Z"',
                '\0updated_at': '"2026-04-08T12:00:00.123456789Z"',
                backend_url: 'http://10.0.0.5:8080',
                init_body: '{"jsonrpc":"2.0","id":1,"method":"initialize"}'
            }
        }
    ],
    'without': [
        `{"id":"${UUID}","type":"streamable","created_at":"2026-04-08T12:00:00Z","updated_at":"2026-04-08T12:00:00Z"}`,
        { created: noon, updated: noon, pairs: { '\0type': '"streamable"' } }
    ],
    'an offset, a type of its own, data': [
        `{"id":"${UUID}","type":"x\\u003cy","created_at":"2026-04-08T14:00:00+02:00",` +
            '"updated_at":"2026-04-08T12:00:00.5Z","data":{"a":[1,null]}}',
        {
            created: noon,
            updated: noon + 500,
            pairs: {
                '\0created_at': '"2026-04-08T14:00:00+02:00"',
                '\0data': '{"a":[1,null]}',
                '\0type': '"x\\u003cy"'
            }
        }
    ]
};

const blank = { state: 1, created: 0, updated: 0, issuer: '', subject: '', pairs: {} };

for (const [layout, vectors] of [[vmcp, vmcpVectors], [proxy, proxyVectors]]) {
    for (const [name, [json, members]] of Object.entries(vectors)) {
        const id = () => (layout === proxy ? UUID : randomUUID());
        const want = { ...blank, ...members };
        await test(`${layout.name}, ${name}: written by ToolHive, read by us, written again`, async () => {
            const session = { ...(await fresh(layout)), id: id() };
            await session.go.store(session.id, json);
            assert.deepEqual(record(await peer.ask('load', session.id)), { ...want, id: session.id });
            assert.equal(await peer.json(), json);
            assert.equal(await peer.code('update'), 'OK');
            assert.equal(await session.go.load(session.id), json);
            await session.go.delete(session.id);
        });
        await test(`${layout.name}, ${name}: made and written by us, read by ToolHive`, async () => {
            const session = { ...(await fresh(layout)), id: id() };
            await peer.make(session.id, want);
            assert.equal(await peer.code('create'), 'OK');
            assert.equal(await session.go.load(session.id), json);
            assert.equal(await session.go.delete(session.id), 1);
        });
    }
}

await test('vmcp: both spellings of a backspace, and whatever else JSON allows', async () => {
    const { id, go } = await fresh(vmcp);
    const spellings = {
        '{"k":"\\u0008"}': '{"k":"\\b"}',
        '{"k":"\\b"}': '{"k":"\\b"}',
        '{"k":"\\u003C\\u003c<"}': '{"k":"\\u003c\\u003c\\u003c"}',
        '{"k":"\\ud83d\\ude00\\u00e9\\/"}': '{"k":"😀é/"}',
        ' {\n"b" :\t"2", "a": null } ': '{"a":"","b":"2"}',
        '{"k":"1","k":"2"}': '{"k":"2"}'
    };
    for (const [written, again] of Object.entries(spellings)) {
        await go.store(id, written);
        assert.equal(await peer.code('load', id), 'OK', written);
        assert.equal(await peer.json(), again);
        assert.equal(await peer.code('store'), 'OK');
        assert.equal(await go.load(id), again);
    }
});

await test('proxy: members that are unknown are kept, behind the rest', async () => {
    const { id, go } = await fresh(proxy);
    const head = `{"id":"${id}","type":"sse","created_at":"2026-04-08T12:00:00Z","updated_at":"2026-04-08T12:00:00Z"`;
    await go.store(id, `{"z":{"deep":[1, 2.50]},"extra":"\\u0008",${head.slice(1)},"metadata":{"k":"v"}}`);
    assert.equal(await peer.code('load', id), 'OK');
    assert.equal(await peer.code('put', 'k', 'w'), 'OK');
    assert.equal(await peer.code('updated', noon + 1500), 'OK');
    assert.equal(await peer.code('update'), 'OK');
    const later = head.replace(/12:00:00Z"$/, '12:00:01.5Z"');
    assert.equal(await go.load(id), `${later},"metadata":{"k":"w"},"extra":"\\u0008","z":{"deep":[1, 2.50]}}`);
});

await test('vmcp: 500 random sessions, both ways', async () => {
    const { id, go } = await fresh(vmcp);
    const letters = [...'ab<>&"\\/\b\f\n\r\t\u0001\u001f\u007fé€\u2028\u2029\ufffd😀.-_{}[]:, '];
    const letter = () => letters[randomInt(letters.length)];
    const text = most => Array.from({ length: randomInt(most) }, letter).join('');
    for (let round = 0; round < 500; round++) {
        const pairs = {};
        for (let n = randomInt(1, 8); n > 0; n--) pairs['k' + text(4)] = text(20);
        await peer.make(id, { pairs });
        assert.equal(await peer.code('store'), 'OK');
        assert.equal(await go.load(id), goJson(pairs));
        await go.store(id, JSON.stringify(pairs, null, randomInt(3)));
        assert.deepEqual(record(await peer.ask('load', id)).pairs, pairs);
    }
}, 60);

// -- keys and their lives --

const left = (layout, id) => redis.sendCommand(['pttl', layout.prefix + id]);
async function hasLife(layout, id, ms) {
    const ttl = await left(layout, id);
    assert.ok(ttl <= ms && ttl > ms - 3000, `${ttl} ms are left, not ${ms}`);
}

for (const layout of [vmcp, proxy, odd]) {
    await test(`${layout.prefix}* lives ${layout.ttl} ms from its last write or load, not from a peek`, async () => {
        const { id } = await fresh(layout);
        const aged = () => redis.sendCommand(['pexpire', layout.prefix + id, '60000']);
        await peer.make(id, { pairs: { a: 'b' } });
        for (const write of ['create', 'update', 'store']) {
            assert.equal(await peer.code(write), 'OK');
            await hasLife(layout, id, layout.ttl);
            await aged();
        }
        assert.equal(await peer.code('peek', id), 'OK');
        await hasLife(layout, id, 60000);
        assert.equal(await peer.code('load', id), 'OK');
        await hasLife(layout, id, layout.ttl);
        await aged();
        assert.equal(await peer.code('create'), 'EXISTS');
        await hasLife(layout, id, 60000);
    });
}

await test('a session that nobody uses ends, one that is used does not', async () => {
    const layout = { ...vmcp, ttl: 700 };
    const { id, go } = await fresh(layout);
    await peer.make(id);
    assert.equal(await peer.code('state', 0), 'OK');
    assert.equal(await peer.code('create'), 'OK');
    const begun = Date.now();
    while (Date.now() < begun + 1500) {
        assert.equal(await peer.code('load', id), 'OK');
        assert.equal(await go.load(id), '{}');
        await new Promise(resolve => setTimeout(resolve, 100));
    }
    await new Promise(resolve => setTimeout(resolve, 800));
    assert.equal(await peer.code('load', id), 'MISS');
    assert.equal(await peer.code('update'), 'MISS');
    assert.equal(await go.load(id), null);
});

await test('create leaves a session that is there as it is', async () => {
    const { id, go } = await fresh(vmcp);
    assert.equal(await go.create(id, '{"by":"go"}'), 'OK');
    await peer.make(id, { pairs: { by: 'us' } });
    assert.equal(await peer.code('create'), 'EXISTS');
    assert.equal(await go.load(id), '{"by":"go"}');
    await go.delete(id);
    assert.equal(await peer.code('create'), 'OK');
    assert.equal(await go.create(id, '{"by":"go"}'), null);
    assert.equal(await go.load(id), '{"by":"us"}');
});

await test('update creates nothing, whoever deleted it', async () => {
    const { id, go } = await fresh(vmcp);
    await peer.make(id, { pairs: { a: 'b' } });
    assert.equal(await peer.code('update'), 'MISS');
    assert.equal(await go.load(id), null);
    assert.equal(await peer.code('create'), 'OK');
    await go.delete(id);
    assert.equal(await peer.code('update'), 'MISS');
    assert.equal(await peer.code('load', id), 'MISS');
    assert.equal(await go.update(id, '{}'), null);
    assert.equal(await left(vmcp, id), -2);
});

await test('delete: once, and again', async () => {
    const { id, go } = await fresh(proxy);
    await peer.make(id);
    assert.equal(await peer.code('store'), 'OK');
    assert.deepEqual(await peer.ask('delete', id), ['OK', '1']);
    assert.deepEqual(await peer.ask('delete', id), ['OK', '0']);
    assert.equal(await go.load(id), null);
});

await test('of three that create one session one succeeds, and its bytes are there', async () => {
    const other = new Peer(program, socket);
    await other.layout(vmcp);
    const wins = { us: 0, other: 0, go: 0 };
    for (let round = 0; round < 200; round++) {
        const { id, go } = await fresh(vmcp);
        await peer.make(id, { pairs: { by: 'us' } });
        await other.make(id, { pairs: { by: 'other' } });
        const tries = [
            async () => ['us', (await peer.code('create')) === 'OK'],
            async () => ['other', (await other.code('create')) === 'OK'],
            async () => ['go', (await go.create(id, '{"by":"go"}')) === 'OK']
        ];
        for (let n = round % 3; n > 0; n--) tries.push(tries.shift());
        const winners = (await Promise.all(tries.map(each => each()))).filter(([, won]) => won);
        assert.equal(winners.length, 1);
        assert.equal(await go.load(id), `{"by":"${winners[0][0]}"}`);
        wins[winners[0][0]]++;
    }
    console.log(`# won: ${JSON.stringify(wins)}`);
    await other.stop();
}, 60);

await test('what is no session is an error, not a miss, and stays as it is', async () => {
    const { id, go } = await fresh(vmcp);
    assert.equal(await peer.code('load', id), 'MISS');
    await redis.sendCommand(['rpush', vmcp.prefix + id, 'x']);
    assert.equal(await peer.code('load', id), 'E_WRONGTYPE');
    assert.equal(await peer.code('peek', id), 'E_WRONGTYPE');
    await go.delete(id);
    for (const text of ['', 'x', '[]', 'null', '{"a":1}', '{"a":"b"', '{"a":"b"}}', '{"a":"\t"}']) {
        await go.store(id, text);
        assert.equal(await peer.code('load', id), 'E_FORMAT', text);
        assert.equal(await go.load(id), text);
    }
    await go.store(id, '{"vmcp.identity.binding":"nobody"}');
    assert.equal(await peer.code('load', id), 'E_PRINCIPAL');
    await peer.layout(proxy);
    await of(proxy).store(id, proxyVectors.without[0]);
    assert.equal(await peer.code('load', id), 'E_FORMAT'); // it is another session's
});

// -- the ways of the reference --

// What ToolHive's session manager does, command by command; ours answers in turn.
class Manager {
    constructor(go) {
        this.go = go;
    }

    read = async id => {
        const text = await this.go.load(id);
        return text === null ? null : JSON.parse(text);
    };
    gone = strings => strings === null || strings.terminated === 'true';

    async generate(ids) {
        for (const id of ids.slice(0, 2)) if ((await this.go.create(id, '{}')) === 'OK') return id;
        return '';
    }

    async create(id, build) {
        if (this.gone(await this.read(id))) throw new Error('no placeholder');
        const strings = await build().catch(async error => {
            await this.go.update(id, '{"terminated":"true"}');
            throw error;
        });
        if (this.gone(await this.read(id))) throw new Error('it ended meanwhile');
        if ((await this.go.update(id, goJson(strings))) !== 'OK') throw new Error('it ended meanwhile');
    }

    validate = async id => this.gone(await this.read(id)); // -> is it terminated?

    async terminate(id) {
        const strings = await this.read(id);
        if (strings === null) return;
        if (strings['vmcp.identity.binding'] !== undefined) await this.go.delete(id);
        else await this.go.update(id, '{"terminated":"true"}');
    }

    async expired(id, workload, strings) {
        if (!strings || strings.terminated === 'true' || strings['vmcp.backend.ids'] === undefined) return;
        const changed = { ...strings };
        delete changed[`vmcp.backend.session.${workload}`];
        const ids = strings['vmcp.backend.ids'].split(',').map(each => each.trim());
        changed['vmcp.backend.ids'] = ids.filter(each => each !== '' && each !== workload).join(',');
        await this.go.update(id, goJson(changed));
    }

    async check(id, strings) { // -> is what is kept expired?
        const now = await this.read(id);
        if (this.gone(now)) return true;
        return now['vmcp.backend.ids'] !== undefined && now['vmcp.backend.ids'] !== strings['vmcp.backend.ids'];
    }

    async restore(id) {
        const strings = await this.read(id);
        return this.gone(strings) || strings['vmcp.identity.binding'] === undefined ? null : strings;
    }
}

const ids = async () => {
    const { id, go } = await fresh(vmcp);
    return { id, go, manager: new Manager(go) };
};
const dead = '{"terminated":"true"}';

await test('1: a placeholder of either, and neither takes an id that is taken', async () => {
    const { id, go, manager } = await ids();
    assert.equal(await manager.generate([id]), id);
    await peer.make(id, { state: 0 });
    assert.equal(await peer.code('create'), 'EXISTS');
    const second = randomUUID();
    await peer.make(second, { state: 0 });
    assert.equal(await peer.code('create'), 'OK');
    assert.equal(await go.load(second), '{}');
    assert.equal(await manager.generate([id, second]), ''); // storage refuses twice
});

await test('2: a placeholder of theirs is initialised by us, one of ours by them', async () => {
    const { id, go, manager } = await ids();
    await manager.generate([id]);
    assert.equal(record(await peer.ask('load', id)).state, 0);
    await peer.make(id, { pairs: backends });
    assert.equal(await peer.code('update'), 'OK');
    assert.equal(await go.load(id), vmcpVectors['two backends'][0]);
    const second = randomUUID();
    await peer.make(second, { state: 0 });
    assert.equal(await peer.code('create'), 'OK');
    await manager.create(second, async () => backends);
    assert.deepEqual(record(await peer.ask('load', second)).pairs, backends);
});

await test('2: what ends while it is built is not initialised', async () => {
    const { id, go, manager } = await ids();
    await manager.generate([id]);
    const ended = async () => {
        await peer.ask('load', id);
        await peer.ask('state', 2);
        assert.equal(await peer.code('update'), 'OK');
        return backends;
    };
    await assert.rejects(manager.create(id, ended));
    assert.equal(await go.load(id), dead);
    await assert.rejects(manager.create(id, () => assert.fail('built')));
    const second = randomUUID();
    await manager.generate([second]);
    await assert.rejects(manager.create(second, async () => Promise.reject(new Error('no backend'))));
    assert.equal(record(await peer.ask('load', second)).state, 2);
    assert.equal(await peer.code('restorable'), 'MISS');
});

await test('3: both say the same of alive, terminated and unknown', async () => {
    const { id, go, manager } = await ids();
    assert.equal(await manager.validate(id), true);
    assert.equal(await peer.code('load', id), 'MISS');
    await manager.generate([id]);
    assert.equal(await manager.validate(id), false);
    assert.equal(record(await peer.ask('load', id)).state, 0);
    await go.update(id, dead);
    assert.equal(await manager.validate(id), true);
    assert.equal(record(await peer.ask('load', id)).state, 2);
    await go.delete(id);
    await redis.sendCommand(['rpush', vmcp.prefix + id, 'x']);
    assert.equal(await peer.code('load', id), 'E_WRONGTYPE'); // an error is neither
});

await test('4: what they terminate is so for us, and what we do for them', async () => {
    const { id, go, manager } = await ids();
    await manager.generate([id]);
    await manager.terminate(id);
    assert.equal(record(await peer.ask('load', id)).state, 2);
    assert.equal(await left(vmcp, id) > 0, true);
    await go.store(id, vmcpVectors['two backends'][0]);
    await manager.terminate(id);
    assert.equal(await peer.code('load', id), 'MISS');
    await manager.terminate(id);
    await go.store(id, vmcpVectors['before identity binding'][0]);
    assert.equal((await peer.ask('load', id))[0], 'OK');
    assert.equal(await peer.code('restorable'), 'MISS'); // so it is no session to delete
    await manager.terminate(id);
    assert.equal(await go.load(id), dead);
});

await test('5: a backend expires for them, then another one for us', async () => {
    const { id, go, manager } = await ids();
    await go.store(id, vmcpVectors['two backends'][0]);
    await manager.expired(id, 'workload-a', await manager.read(id));
    assert.equal(await go.load(id), vmcpVectors['one of them expired'][0]);
    assert.equal(await peer.code('load', id), 'OK');
    assert.equal(await peer.code('expire', 'workload-a'), 'END'); // there is nothing left to do
    assert.equal(await peer.code('expire', 'workload-b'), 'OK');
    assert.equal(await peer.code('update'), 'OK');
    assert.equal(await go.load(id), vmcpVectors['the last one gone'][0]);
});

await test('5: we make the same of every list', async () => {
    const { id, go, manager } = await ids();
    const names = ['a', 'b', 'ab', 'c-1', ' ', '', ' a ', '\ta'];
    for (let round = 0; round < 200; round++) {
        const list = Array.from({ length: randomInt(6) }, () => names[randomInt(names.length)]).join(',');
        const strings = { 'vmcp.backend.ids': list, 'vmcp.identity.binding': 'unauthenticated' };
        for (const name of ['a', 'b']) if (randomInt(2)) strings[`vmcp.backend.session.${name}`] = `of ${name}`;
        await go.store(id, goJson(strings));
        assert.equal(await peer.code('load', id), 'OK');
        assert.match(await peer.code('expire', 'a'), /^(OK|END)$/);
        await manager.expired(id, 'a', strings);
        assert.equal(await peer.json(), await go.load(id), list);
    }
});

await test('5: neither brings back what has ended', async () => {
    const { id, go, manager } = await ids();
    await go.store(id, vmcpVectors['two backends'][0]);
    const strings = await manager.read(id);
    assert.equal(await peer.code('load', id), 'OK');
    await manager.terminate(id);
    await manager.expired(id, 'workload-a', strings);
    assert.equal(await go.load(id), null);
    assert.equal(await peer.code('expire', 'workload-a'), 'OK');
    assert.equal(await peer.code('update'), 'MISS');
    assert.equal(await go.load(id), null);
    await go.store(id, dead);
    assert.equal(await peer.code('load', id), 'OK');
    assert.equal(await peer.code('expire', 'workload-a'), 'MISS');
    await go.store(id, vmcpVectors['before identity binding'][0]);
    assert.equal(await peer.code('load', id), 'OK');
    assert.equal(await peer.code('expire', 'workload-a'), 'MISS'); // it has no list
});

await test('6: both find the same of what is kept', async () => {
    const { id, go, manager } = await ids();
    const made = backends['vmcp.backend.ids'];
    const cases = [
        [backends, 'OK'],
        [{ ...backends, 'vmcp.backend.session.workload-a': 'of another replica' }, 'OK'],
        [{ ...backends, 'vmcp.backend.ids': 'workload-b' }, 'STALE'],
        [{ ...backends, 'vmcp.backend.ids': '' }, 'STALE'],
        [{ 'vmcp.identity.binding': 'unauthenticated' }, 'OK'],
        [{ terminated: 'true' }, 'MISS']
    ];
    for (const [strings, verdict] of cases) {
        await go.store(id, goJson(strings));
        assert.equal(await peer.code('load', id), 'OK');
        assert.equal(await peer.code('kept', made), verdict);
        assert.equal(await manager.check(id, backends), verdict !== 'OK');
    }
    await go.delete(id);
    assert.equal(await manager.check(id, backends), true);
    assert.equal(await peer.code('load', id), 'MISS');
});

await test('7: both restore the same', async () => {
    const { id, go, manager } = await ids();
    const cases = [
        ['{}', 'MISS'],
        [dead, 'MISS'],
        [vmcpVectors['before identity binding'][0], 'MISS'],
        [vmcpVectors['two backends'][0], 'OK'],
        [vmcpVectors['the last one gone'][0], 'OK'],
        [vmcpVectors['bound to a user'][0], 'OK']
    ];
    for (const [text, verdict] of cases) {
        await go.store(id, text);
        assert.equal(await peer.code('load', id), 'OK');
        assert.equal(await peer.code('restorable'), verdict, text);
        assert.equal((await manager.restore(id)) !== null, verdict === 'OK', text);
    }
    await go.store(id, '{"vmcp.identity.binding":"malformed"}');
    assert.equal(await peer.code('load', id), 'E_PRINCIPAL');
});

await test('8 and 10: what is written back replaces all, or finds that it has ended', async () => {
    const { id, go, manager } = await ids();
    await go.store(id, vmcpVectors['two backends'][0]);
    assert.equal(await peer.code('load', id), 'OK');
    assert.equal(await peer.code('put', 'vmcp.backend.session.workload-a', 'sess-a2'), 'OK');
    assert.equal(await peer.code('update'), 'OK');
    assert.equal((await manager.restore(id))['vmcp.backend.session.workload-a'], 'sess-a2');
    await manager.terminate(id);
    assert.equal(await peer.code('update'), 'MISS');
    assert.equal(await go.load(id), null);
});

await test('what the formats have no place for is refused, and nothing is sent', async () => {
    const { id, go } = await fresh(vmcp);
    await peer.make(id);
    assert.equal(await peer.code('create'), 'E_MAPPING'); // active, but nothing says so
    await peer.make(id, { created: noon, pairs: { a: 'b' } });
    assert.equal(await peer.code('create'), 'E_MAPPING');
    assert.equal(await go.load(id), null);
    await peer.layout(proxy);
    await peer.make('no-uuid');
    assert.equal(await peer.code('create'), 'E_ID');
    await peer.make(id, { state: 0 });
    assert.equal(await peer.code('create'), 'E_MAPPING');
});

await test("the proxy's ids", async () => {
    const namespace = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex');
    const version5 = name => {
        const hash = createHash('sha1').update(namespace).update(name).digest();
        hash[6] = (hash[6] & 0x0f) | 0x50;
        hash[8] = (hash[8] & 0x3f) | 0x80;
        return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    };
    const vectors = {
        'some-opaque-session-token': '28235384-6197-5957-93d6-e4388474e028',
        'token-a': 'cd763ae5-ab42-51af-a132-bd963525d7ae',
        'token-b': '760dee16-b01c-52cf-a03e-bb0db34b8b0c',
        abc: '6cb8e707-0fc5-5f55-88d4-d4fed43e64a8',
        [UUID]: UUID
    };
    for (const [name, id] of Object.entries(vectors)) assert.deepEqual(await peer.ask('id', name), ['OK', id]);
    for (let n = 1; n < 300; n++) {
        const name = randomBytes(n).toString('base64url').slice(0, n);
        if (n !== 32) assert.deepEqual(await peer.ask('id', name), ['OK', version5(name)]);
    }
});

// -- on the wire --

const key = '$20\r\nthv:vmcp:session:abc\r\n';
const wire = {
    load: `*4\r\n$5\r\ngetex\r\n${key}$2\r\nex\r\n$4\r\n1800\r\n`,
    create: `*6\r\n$3\r\nset\r\n${key}$2\r\n{}\r\n$2\r\nex\r\n$4\r\n1800\r\n$2\r\nnx\r\n`,
    update: `*6\r\n$3\r\nset\r\n${key}$21\r\n{"terminated":"true"}\r\n$2\r\nex\r\n$4\r\n1800\r\n$2\r\nXX\r\n`,
    store: `*5\r\n$3\r\nset\r\n${key}$2\r\n{}\r\n$2\r\nex\r\n$4\r\n1800\r\n`,
    delete: `*2\r\n$3\r\ndel\r\n${key}`
};

await test('our process sends the very bytes that ToolHive sends', async t => {
    const relay = await Relay.start(`${folder}/ours`, socket);
    const us = new Peer(program, `${folder}/ours`);
    t.after(async () => relay.stop());
    await us.layout(vmcp);
    await us.ask('peek', 'abc'); // connected
    await us.make('abc', { state: 0 });
    assert.equal(await relay.during(() => us.ask('create')), wire.create);
    assert.equal(await relay.during(() => us.ask('load', 'abc')), wire.load);
    assert.equal(await relay.during(() => us.ask('store')), wire.store);
    await us.ask('state', 2);
    assert.equal(await relay.during(() => us.ask('update')), wire.update);
    assert.equal(await relay.during(() => us.ask('delete', 'abc')), wire.delete);
    await us.layout(odd);
    assert.match(await relay.during(() => us.ask('load', 'abc')), /\$2\r\npx\r\n\$7\r\n1234567\r\n$/);
    await us.stop();
});

await test('so does the client that plays ToolHive here', async t => {
    const relay = await Relay.start(`${folder}/theirs`, socket);
    const them = await client(`${folder}/theirs`);
    t.after(async () => relay.stop());
    const go = new ToolHive(them, vmcp);
    assert.equal(await relay.during(() => go.create('abc', '{}')), wire.create);
    assert.equal(await relay.during(() => go.load('abc')), wire.load);
    assert.equal(await relay.during(() => go.store('abc', '{}')), wire.store);
    assert.equal(await relay.during(() => go.update('abc', '{"terminated":"true"}')), wire.update);
    assert.equal(await relay.during(() => go.delete('abc')), wire.delete);
    await them.close();
});

// -- what the documented user may --

await test('what the manual adds for ToolHive is needed, and no more', async t => {
    const { id } = await fresh(vmcp);
    const rule = (...words) => redis.sendCommand(['ACL', 'SETUSER', 'mcpsess', ...words]);
    t.after(() => rule('+getex', '~thv:*'));
    await peer.make(id, { pairs: { a: 'b' } });
    assert.equal(await peer.code('create'), 'OK');
    await rule('-getex');
    assert.equal(await peer.code('load', id), 'E_NOPERM');
    assert.equal(await peer.code('peek', id), 'OK');
    await rule('+getex', 'resetkeys', '~mcpsess:*');
    for (const [verb, word] of [['load', id], ['peek', id], ['store', ''], ['delete', id]]) {
        assert.equal(await peer.code(...(word ? [verb, word] : [verb])), 'E_NOPERM', verb);
    }
});

await test('our process ends well', () => peer.stop());
await redis.close();
process.exit(finish());
