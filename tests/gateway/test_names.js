'use strict';
// A Redis whose name has several addresses: only in the gateway that is linked with names.c.

const net = require('node:net');
const { Backend } = require('./backend.js');
const { Redis } = require('./redis.js');
const { Gateway, assert, test, until } = require('./kit.js');

const listen = (port, host, taken) =>
    new Promise((done) => {
        const server = net.createServer(taken).listen(port, host, () => done(server));
    });

test('redis: an address that is silent is not the first one next time', async () => {
    const redis = await Redis.start('--bind', '127.0.0.1');
    const backend = await Backend.start('A');
    let calls = 0;
    const silent = await listen(redis.port, '127.0.0.2', (socket) => {
        calls++;
        socket.on('error', () => {});
    });
    const g = await Gateway.start([backend], { redis: `127.0.0.2_127.0.0.1:${redis.port}`, verbose: true });
    try {
        await until(async () => (await g.metric('redis_up')) === 1, 'the second address');
        const sid = await g.session();
        assert.equal((await g.call(sid)).status, 200);
        assert.equal(calls, 1);
        await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal'); // and it begins with the one that was good
        await until(async () => (await g.metric('redis_connects_total')) === 2, 'another connection');
        assert.equal(calls, 1);
    } finally {
        silent.close();
        backend.close();
        await g.stop();
        await redis.stop();
    }
});
