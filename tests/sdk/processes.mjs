// Child processes that announce "listening on URL": started, asked, stopped by their own pid.

import { spawn } from 'node:child_process';
import { until } from './tap.mjs';

const running = new Set();

export class Process {
    constructor(command, args, env) {
        this.command = [command, ...args].join(' ');
        this.output = '';
        this.alive = true;
        this.child = spawn(command, args, {
            env: { PATH: process.env.PATH, ...env },
            stdio: ['ignore', 'pipe', 'pipe']
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

process.on('exit', () => {
    for (const each of running) each.child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
