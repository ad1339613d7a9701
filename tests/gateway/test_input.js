'use strict';
// What is not HTTP, not JSON, not JSON-RPC, or not for us. After each the gateway must be alive and well.

const { assert, initialize, scene, sleep, until } = require('./kit.js');

const healthy = async (g) => assert.equal((await g.request('GET', { path: '/healthz', agent: false })).text, 'ok\n');

const head = 'POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const post = (body, headers = '') => `${head}${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

scene('what is not HTTP is refused or dropped', 1, { 'timeout-ms': 500 }, async (g, a) => {
    const cases = [
        '\r\n\r\n',
        '\0\0\0\0',
        'GET\r\n\r\n',
        'GET /mcp\r\n\r\n',
        'GET /mcp HTTP/9.9\r\n\r\n',
        'GET /mcp HTTP/x\r\n\r\n',
        'FOO /mcp HTTP/1.1\r\n\r\n',
        ' GET /mcp HTTP/1.1\r\n\r\n',
        'GET  /mcp  HTTP/1.1\r\n\r\n',
        'get /mcp HTTP/1.1\r\n\r\n',
        'GET /mcp HTTP/1.1\r\nno colon\r\n\r\n',
        'GET /mcp HTTP/1.1\r\n folded: first\r\n\r\n',
        'GET /mcp HTTP/1.1\r\n: empty\r\n\r\n',
        'GET /%zz HTTP/1.1\r\n\r\n',
        'GET /\xff\xfe HTTP/1.1\r\n\r\n',
        'GET http://[::1 HTTP/1.1\r\n\r\n',
        'GET * HTTP/1.1\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: 1x\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n',
        'POST /mcp HTTP/1.1\r\nContent-Length: \r\n\r\n',
        'POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
        'POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n',
        'POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
        'POST /mcp HTTP/1.1\r\nExpect: nothing\r\nContent-Length: 5\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        'CONNECT x:1 HTTP/1.1\r\n\r\n',
        'TRACE /mcp HTTP/1.1\r\n\r\n',
    ];
    const replies = await Promise.all(cases.map((c) => g.raw(Buffer.from(c, 'latin1'), { silent: 1500 })));
    replies.forEach(({ status, closed }, i) => {
        assert.ok(closed || status >= 400, `${JSON.stringify(cases[i])}: ${status}`);
        assert.ok(status === 0 || status >= 400, `${JSON.stringify(cases[i])}: ${status}`);
    });
    assert.equal(a.seen.length, 0);
    await healthy(g);
});

scene('requests cut off at every byte', 1, {}, async (g) => {
    const whole = post(JSON.stringify(initialize), 'Mcp-Session-Id: x\r\n');
    for (let i = 0; i < whole.length; i += 25) {
        await Promise.all(
            Array.from({ length: 25 }, (_, k) =>
                g.raw(whole.slice(0, Math.min(i + k, whole.length - 1)), { end: true }),
            ),
        );
    }
    assert.equal(await g.metric('sessions'), 0);
    await healthy(g);
});

scene('a length that is in doubt is refused', 1, {}, async (g, a) => {
    const body = JSON.stringify(initialize);
    const cases = [
        post(body, 'Transfer-Encoding: chunked\r\n'),
        post(body, 'Transfer-Encoding: identity, chunked\r\n'),
        post(body, 'Transfer-Encoding: xchunked\r\n'),
        post(body, `Content-Length: ${body.length}\r\n`),
        post(body, 'Content-Length: 1\r\n'),
    ];
    for (const bytes of cases) {
        const { status, closed, text } = await g.raw(bytes + '\r\n'); // ends what is read as the length of a chunk
        assert.equal(status >= 400 || (status === 0 && closed), true, text);
    }
    assert.equal(a.seen.length, 0);
    await healthy(g);
});

scene('a header that decides may be there once', 1, {}, async (g, a) => {
    const sid = await g.session();
    const body = '{"jsonrpc":"2.0","id":1,"method":"m"}';
    const cases = [
        `Mcp-Session-Id: ${sid}\r\nmcp-session-id: other\r\n`,
        `Mcp-Session-Id: ${sid}\r\nMCP-Protocol-Version: 2025-11-25\r\nMCP-Protocol-Version: 2026-07-28\r\n`,
        `Mcp-Session-Id: ${sid}\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n`,
    ];
    for (const headers of cases) assert.equal((await g.raw(post(body, headers))).status, 400, headers);
    assert.equal(a.seen.length, 1);
});

scene('a head over 32 KiB and a body over the limit are refused', 1, { 'max-body': 1000 }, async (g, a) => {
    const big = 'x'.repeat(40000);
    for (const bytes of [
        `GET /${big} HTTP/1.1\r\n\r\n`,
        `GET /mcp HTTP/1.1\r\nX: ${big}\r\n\r\n`,
        big + big,
        `GET /mcp HTTP/1.1\r\n${'X: y\r\n'.repeat(10000)}\r\n`,
    ]) {
        const { status, closed } = await g.raw(bytes);
        assert.ok(status >= 400 || closed, String(status));
    }
    for (const size of [900, 1001, 5000, 100000]) {
        const body = JSON.stringify({ ...initialize, x: '' }).padEnd(size, ' ');
        const plain = await g.raw(post(body));
        assert.equal(plain.status, size <= 1000 ? 200 : 413);
        const chunks = `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
        const chunked = `POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`;
        assert.equal((await g.raw(chunked)).status, size <= 1000 ? 200 : 413);
    }
    const expect = await g.raw(`POST /mcp HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n`);
    assert.ok(expect.status >= 400 || expect.closed);
    assert.equal(a.seen.length, 2);
    await healthy(g);
});

scene('what is not JSON is a parse error', 1, {}, async (g, a) => {
    const deep = (n) => '['.repeat(n) + ']'.repeat(n);
    const cases = [
        '',
        ' ',
        '{',
        '}',
        '{"jsonrpc"',
        '{"jsonrpc":"2.0","method":"m"} x',
        '{"jsonrpc":"2.0","method":"m"}{}',
        "{'a':1}",
        'nul',
        '\0',
        '{"jsonrpc":"2.0","method":"m\0x"}',
        '{"jsonrpc":"2.0","method":"m"}\0',
        '"',
        '[',
        '[1,]',
        '{"a":1,}',
        '{"jsonrpc":"2.0","method":"m","id":01}',
        '{"jsonrpc":"2.0","method":"m","id":1.}',
        '{"jsonrpc":"2.0","method":"m","id":"\n"}',
        deep(100000),
        '{"a":'.repeat(50000),
        '\ufeff\ufeff{}',
        '{"a":"\\ud800"}',
        '{"a":"\\x"}',
    ];
    for (const body of cases) {
        const reply = await g.post(body);
        assert.equal(reply.status, 400, body.slice(0, 40));
        assert.equal(
            reply.text,
            '{"error":{"code":-32700,"message":"Parse error"},"jsonrpc":"2.0"}',
            body.slice(0, 40),
        );
    }
    assert.equal(a.seen.length, 0);
});

scene('what is not JSON-RPC is an invalid request', 1, {}, async (g, a) => {
    const cases = [
        'null',
        '1',
        '"x"',
        'true',
        '{}',
        '[]',
        '[1]',
        '[{}]',
        '{"jsonrpc":"1.0","method":"m"}',
        '{"jsonrpc":2.0,"method":"m"}',
        '{"method":"m","id":1}',
        '{"jsonrpc":"2.0"}',
        '{"jsonrpc":"2.0","id":1}',
        '{"jsonrpc":"2.0","method":1}',
        '{"jsonrpc":"2.0","method":""}',
        '{"jsonrpc":"2.0","method":null}',
        '{"jsonrpc":"2.0","method":"m","id":{}}',
        '{"jsonrpc":"2.0","method":"m","id":[1]}',
        '{"jsonrpc":"2.0","method":"m","id":true}',
        '{"jsonrpc":"2.0","method":"m","method":"initialize"}',
        '{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}',
        `{"jsonrpc":"2.0","method":"${'m'.repeat(500)}"}`,
        '{"JSONRPC":"2.0","METHOD":"m"}',
    ];
    for (const body of cases) {
        const reply = await g.post(body);
        assert.equal(`${reply.status} ${reply.json.error.code}`, '400 -32600', body);
    }
    assert.equal(a.seen.length, 0);
});

scene('unusual but valid messages pass', 1, {}, async (g, a) => {
    const sid = { 'mcp-session-id': await g.session() };
    const cases = [
        '\r\n\t {"jsonrpc":"2.0","id":"\\u0000","method":"m"} \n',
        '{"id":3,"jsonrpc":"2.0","result":{}}',
        '{"id":null,"jsonrpc":"2.0","error":{}}',
        '{"method":"\\u006d","params":{"deep":[[[[{"id":[{}]}]]]]},"jsonrpc":"2.0"}',
        '{"jsonrpc":"2.0","method":"m","params":[1,2]}',
        '{"jsonrpc":"2.0","method":"m","x":"\u65e5\u672c\ud83c\udf89"}',
    ];
    for (const body of cases) {
        assert.ok([200, 202].includes((await g.post(body, sid)).status), body);
        assert.equal(a.seen.at(-1).body, body);
    }
});

scene('batches belong to 2025-03-26', 1, {}, async (g, a) => {
    const sid = { 'mcp-session-id': await g.session() };
    const batch = [
        { jsonrpc: '2.0', id: 1, method: 'a' },
        { jsonrpc: '2.0', method: 'b' },
        { jsonrpc: '2.0', id: 2, result: {} },
    ];
    assert.equal((await g.post(batch, sid)).status, 200);
    assert.equal((await g.post(batch, { ...sid, 'mcp-protocol-version': '2025-03-26' })).status, 200);
    assert.equal(a.seen.length, 3);
    for (const version of ['2025-06-18', '2025-11-25']) {
        const reply = await g.post(batch, { ...sid, 'mcp-protocol-version': version });
        assert.equal(`${reply.status} ${reply.json.error.code}`, '400 -32600');
    }
    assert.equal((await g.post(batch, { ...sid, 'mcp-protocol-version': '2026-07-28' })).status, 400);
    assert.equal((await g.post([...batch, initialize], sid)).json.error.code, -32600);
    assert.equal((await g.post(batch)).json.error.code, -32000); // no session
    assert.equal(a.seen.length, 3);
});

scene(
    'an origin must be loopback or allowed',
    1,
    { origin: ['https://app.example', 'https://two.example:8443'] },
    async (g, a) => {
        const good = [
            'http://localhost',
            'http://localhost:3000',
            'http://127.0.0.1:1',
            'http://[::1]:6274',
            'HTTP://LOCALHOST',
            'https://app.example',
            'https://two.example:8443',
        ];
        for (const origin of good) assert.equal((await g.initialize({ origin })).status, 200, origin);
        const bad = [
            'http://evil.example',
            'null',
            'http://localhost.evil.example',
            'http://localhost:80.evil.example',
            'http://localhost@evil.example',
            'https://localhost',
            'http://127.0.0.1.evil.example',
            'https://app.example.evil.example',
            'https://app.example:444',
            'file://',
            '',
            'http://',
            'http://localhost:',
            'http://localhost:80x',
        ];
        for (const origin of bad) {
            const reply = await g.initialize({ origin });
            assert.equal(reply.status, 403, origin);
            assert.equal(reply.json.error.code, -32000);
        }
        assert.equal(a.count, good.length);
    },
);

scene('other methods and other paths', 1, {}, async (g, a) => {
    for (const method of ['PUT', 'PATCH', 'OPTIONS', 'TRACE']) {
        const reply = await g.request(method);
        assert.equal(reply.status, 405, method);
        assert.equal(reply.headers.allow, 'GET, POST, DELETE');
    }
    assert.equal((await g.request('HEAD')).status, 405);
    for (const path of ['/', '/mcp/', '/MCP', '/mcpx', '//mcp', '/%6dcp', '/metrics/', '/..%2fmcp']) {
        assert.equal((await g.request('POST', { path, body: JSON.stringify(initialize) })).status, 404, path);
    }
    assert.equal(a.seen.length, 0);
    assert.equal((await g.request('POST', { path: '/mcp?a=b', body: JSON.stringify(initialize) })).status, 200);
});

scene('requests sent ahead of their turn are answered in order', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = async () => (await sleep(30), false);
    const one = (id) => post(`{"jsonrpc":"2.0","id":${id},"method":"m"}`, `Mcp-Session-Id: ${sid}\r\n`);
    const { text } = await g.raw(one(1) + one(2) + one(3), { silent: 800 });
    assert.deepEqual(
        [...text.matchAll(/"id":(\d)/g)].map((m) => m[1]),
        ['1', '2', '3'],
    );
});

scene('bytes that come while an answer is on its way do no harm', 1, {}, async (g, a) => {
    const sid = await g.session();
    a.hook = (_, res) => (a.stream(res), true);
    const first = post('{"jsonrpc":"2.0","id":1,"method":"m"}', `Mcp-Session-Id: ${sid}\r\n`);
    const raw = g.raw(first + 'garbage\r\n\r\n'.repeat(1000) + 'x'.repeat(3 << 20), { silent: 1000 });
    await until(() => a.streams.length === 1, 'the request');
    a.streams[0].write('data: 1\n\n');
    await sleep(200);
    await healthy(g);
    a.streams[0].end('data: 2\n\n');
    assert.match((await raw).text, /data: 2/);
    await healthy(g);
});

scene('a half-closed client does no harm', 1, {}, async (g, a) => {
    a.hook = async () => (await sleep(100), false);
    const replies = await Promise.all(
        Array.from({ length: 20 }, () => g.raw(post(JSON.stringify(initialize)), { end: true, silent: 1000 })),
    );
    for (const { closed } of replies) assert.ok(closed);
    await until(async () => (await g.metric('requests_in_flight')) === 1, 'all to end');
    await until(() => a.sessions.size === 0, 'the backend to be told that nobody will use them');
    assert.equal(await g.metric('sessions'), 0);
    await healthy(g);
});

scene('HTTP/1.0 and clients that close are served', 1, {}, async (g) => {
    const body = JSON.stringify(initialize);
    const old = await g.raw(`POST /mcp HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    assert.match(old.text, /^HTTP\/1\.0 200 OK\r\n[^]*"protocolVersion"/);
    assert.ok(old.closed);
    assert.doesNotMatch(old.text, /chunked/i);
    const close = await g.raw(post(body, 'Connection: close\r\n'));
    assert.ok(close.closed);
    assert.equal(close.status, 200);
});

scene('a backend that speaks nonsense is a 502', 1, {}, async (g, a) => {
    const sid = await g.session();
    const nonsense = [
        'hello\r\n\r\n',
        'HTTP/1.1 2x0 OK\r\n\r\n',
        'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
        `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70000)}\r\n\r\n`,
        'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
        '\0'.repeat(100),
        '',
    ];
    for (const bytes of nonsense) {
        a.hook = (_, res) => (res.socket.end(bytes), true);
        const reply = await g.call(sid);
        assert.equal(reply.status, 502, JSON.stringify(bytes.slice(0, 40)));
        assert.equal(reply.json.id, 7);
    }
    a.hook = (_, res) => (res.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'), true);
    assert.equal((await g.call(sid)).complete, false);
    a.hook = (_, res) => (
        res.socket.end('HTTP/1.1 200 OK\r\nX-Bad: a\x01b\r\nX-Good: 1\r\nX Y: 2\r\nContent-Length: 2\r\n\r\nok'),
        true
    );
    const reply = await g.call(sid);
    assert.deepEqual(
        [reply.text, reply.headers['x-good'], reply.headers['x-bad'], reply.headers['x y']],
        ['ok', '1', undefined, undefined],
    );
    a.hook = (_, res) => (res.socket.write('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'), res.end('late'), true);
    assert.ok([200, 502].includes((await g.call(sid)).status));
});
