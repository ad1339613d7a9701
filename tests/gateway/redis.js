'use strict';
// redis.js - a redis-server of a test's own: on a free port of loopback, in memory, stopped by its pid.

const net = require('node:net');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFile, spawn, spawnSync } = require('node:child_process');
const { promisify } = require('node:util');
const { until } = require('./kit.js');

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
    static there = spawnSync('redis-server', ['--version']).status === 0;

    static async start(...args) {
        const r = new Redis();
        r.port = await freePort();
        r.at = `127.0.0.1:${r.port}`;
        r.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mcpsess-'));
        r.socket = path.join(r.dir, 'socket');
        r.args = args;
        await r.run();
        return r;
    }

    async run() {
        const fixed = ['--port', this.port, '--bind', '127.0.0.1', '-::1', '--dir', this.dir, '--unixsocket', this.socket];
        this.process = spawn('redis-server', [...fixed, '--save', '', '--appendonly', 'no', ...this.args].map(String), {
            stdio: 'ignore',
        });
        const { process } = this;
        running.add(process);
        this.exited = new Promise((done) => process.on('exit', () => done(running.delete(process))));
        await until(async () => /PONG|NOAUTH/.test(await this.cli('PING').catch(() => '')), 'redis-server');
    }

    // One command, as the default user.
    async cli(...args) {
        const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(this.port), ...args.map(String)], {
            timeout: 3000,
        });
        return stdout.trim();
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

process.on('exit', () => {
    for (const p of running) p.kill('SIGKILL');
});

module.exports = { Redis };
