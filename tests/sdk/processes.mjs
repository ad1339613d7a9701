// Child processes that announce "listening on URL": started, asked, stopped by their own pid.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { until } from './tap.mjs';

const running = new Set();

export class Process {
    constructor(command, args, env, input = 'ignore') {
        this.command = [command, ...args].join(' ');
        this.output = '';
        this.alive = true;
        this.child = spawn(command, args, {
            env: { PATH: process.env.PATH, ...env },
            stdio: [input, 'pipe', 'pipe']
        });
        for (const stream of [this.child.stdout, this.child.stderr]) {
            stream.on('data', text => (this.output = (this.output + text).slice(-8000)));
        }
        this.ended = new Promise(resolve => {
            this.child.once('error', error => resolve(this.end(error.message)));
            this.child.once('exit', (code, signal) => resolve(this.end(signal ?? code)));
        });
        running.add(this);
    }

    end(how) {
        this.alive = false;
        this.how = how;
        running.delete(this);
    }

    // Waits for the announcement; an early death is an error with what the process said.
    async listening() {
        const announced = () => this.output.match(/listening on (http:\/\/\S+)/);
        await until(() => announced() || !this.alive, `${this.command} announcing its address`, 10000);
        if (!this.alive) throw new Error(`${this.command} ended (${this.how}):\n${this.output}`);
        this.url = announced()[1];
        this.port = new URL(this.url).port;
        return this;
    }

    async stop(signal = 'SIGTERM') {
        if (this.alive) this.child.kill(signal);
        const impatience = setTimeout(() => this.child.kill('SIGKILL'), 2000);
        await this.ended;
        clearTimeout(impatience);
    }
}

export const start = (command, args, env = {}) => new Process(command, args, env).listening();

export function freePort() {
    return new Promise(resolve => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

// A redis-server of a test's own, which finds its data again when it was killed.
export class Redis {
    static there = spawnSync('redis-server', ['--version']).status === 0;

    static async start() {
        const redis = new Redis();
        redis.port = await freePort();
        redis.at = `127.0.0.1:${redis.port}`;
        redis.folder = mkdtempSync(`${tmpdir()}/mcpsess-`);
        await redis.run();
        return redis;
    }

    async run() {
        const options = { port: this.port, bind: '127.0.0.1', dir: this.folder, save: '', appendonly: 'yes' };
        const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
        this.process = new Process('redis-server', args);
        await until(() => /Ready to accept/.test(this.process.output) || !this.process.alive, 'redis-server', 10000);
        if (!this.process.alive) throw new Error(`redis-server ended:\n${this.process.output}`);
    }

    async cli(...args) {
        const all = ['-p', this.port, ...args].map(String);
        const { stdout } = await promisify(execFile)('redis-cli', all, { timeout: 3000 });
        return stdout.trim();
    }

    kill() {
        return this.process.stop('SIGKILL');
    }

    async stop() {
        await this.kill();
        rmSync(this.folder, { recursive: true, force: true });
    }
}

process.on('exit', () => {
    for (const each of running) each.child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
