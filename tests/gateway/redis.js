'use strict';
// redis.js - a redis-server of a test's own: on a free port of loopback, in memory, stopped by its pid. REDIS_SERVER,
// REDIS_CLI: another server, its client.

const net = require('node:net');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFile, spawn, spawnSync } = require('node:child_process');
const { promisify } = require('node:util');
const { sleep, startBackends, test, until } = require('./kit.js');

const { REDIS_SERVER: serverProgram = 'redis-server', REDIS_CLI: cliProgram = 'redis-cli' } = process.env;
const running = new Set();

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

class Redis {
    static there = spawnSync(serverProgram, ['--version']).status === 0;

    // Built with TLS? Then it is only the certificate that it misses.
    static tls = /tls-cert-file/.test(spawnSync(serverProgram, ['--port', '0', '--tls-port', '1']).stdout);

    static async start(...args) {
        const r = new Redis();
        r.port = await freePort();
        r.at = `127.0.0.1:${r.port}`;
        r.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mcpsess-'));
        r.socket = path.join(r.dir, 'socket');
        r.args = args;
        if (args.includes('tls')) await r.certify();
        await r.run();
        // What it can is what it says when asked, whatever its version.
        const knows = async (...command) => !/^(ERR|NOAUTH)/.test(await r.cli(...command));
        r.tracks = await knows('CLIENT', 'TRACKING', 'ON');
        r.users = await knows('ACL', 'WHOAMI');
        r.channels = r.users && (await knows('ACL', 'SETUSER', 'default', 'allchannels'));
        return r;
    }

    // A CA, and a certificate of it for "localhost".
    async certify() {
        const run = (...args) => promisify(execFile)('openssl', args, { cwd: this.dir, timeout: 10000 });
        const key = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
        this.ca = path.join(this.dir, 'ca.crt');
        await run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test CA');
        await run('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
        const sign = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
        fs.writeFileSync(path.join(this.dir, 'names'), 'subjectAltName=DNS:localhost');
        await run('x509', '-req', '-in', 'server.csr', ...sign, '-out', 'server.crt', '-extfile', 'names');
        this.tlsPort = await freePort();
        this.args = ['--tls-port', this.tlsPort, '--tls-auth-clients', 'yes', '--tls-ca-cert-file', 'ca.crt'];
        this.args.push('--tls-cert-file', 'server.crt', '--tls-key-file', 'server.key');
    }

    async run() {
        const v6 = Object.values(os.networkInterfaces()).flat().filter((each) => each.address === '::1');
        const bind = ['127.0.0.1', ...v6.map((each) => each.address)];
        const where = ['--port', this.port, '--bind', ...bind, '--unixsocket', this.socket];
        const what = ['--dir', this.dir, '--save', '', '--appendonly', 'no', ...this.args];
        this.process = spawn(serverProgram, [...where, ...what].map(String), {
            stdio: 'ignore',
            cwd: this.dir,
        });
        const { process } = this;
        running.add(process);
        this.exited = new Promise((done) => process.on('exit', () => done(running.delete(process))));
        await until(async () => /PONG|NOAUTH/.test(await this.cli('PING').catch(() => '')), 'redis-server');
    }

    // One command, as the default user.
    async cli(...args) {
        const { stdout } = await promisify(execFile)(cliProgram, ['-p', String(this.port), ...args.map(String)], {
            timeout: 3000,
        });
        return stdout.trim();
    }

    // Until a gateway has noticed what another did: at once where the server tells, else when it asks again.
    async told() {
        if (!this.tracks) await sleep(1300);
    }

    async kill() {
        this.process.kill('SIGKILL');
        await this.exited;
    }

    freeze() {
        this.process.kill('SIGSTOP');
    }

    thaw() {
        this.process.kill('SIGCONT');
    }

    async stop() {
        await this.kill();
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}

// A test with a Redis, backends, and two gateways, which must stop cleanly at the end.
function pair(name, count, options, body, ...redisArgs) {
    test(`redis: ${name}`, async () => {
        const redis = await Redis.start(...redisArgs);
        const { backends, start } = await startBackends(count, options);
        const gateways = [];
        try {
            for (let i = 0; i < 2; i++) gateways.push(await start({ redis: redis.at, verbose: true }));
            await body(redis, ...gateways, ...backends);
        } catch (e) {
            e.message += gateways.map((g, i) => `\nstderr of gateway ${i}: ${g.err}`).join('');
            for (const g of gateways) await g.stop().catch(() => {});
            throw e;
        } finally {
            redis.thaw();
            for (const b of backends) b.close();
            await redis.stop();
        }
        for (const g of gateways) await g.stop();
    }, options);
}

process.on('exit', () => {
    for (const p of running) p.kill('SIGKILL');
});

module.exports = { Redis, pair };
