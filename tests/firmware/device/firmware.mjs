// The device as firmware, on a simulated board: its port 80 is one of this machine's, its serial port takes keys.

import { kinds } from '../backends.mjs';
import { Process, freePort } from '../processes.mjs';
import { until } from '../tap.mjs';

const image = process.env.FIRMWARE;

// How each of them ended: what does not stop when told to, or finds its memory damaged, is a failure.
export const endings = [];

export class Firmware extends Process {
    static async start() {
        const port = await freePort();
        const forward = `user,model=lan9118,hostfwd=tcp:127.0.0.1:${port}-:80`;
        const console = ['-nographic', '-monitor', 'none', '-semihosting-config', 'enable=on,target=native'];
        const serial = ['-serial', 'null', '-serial', 'stdio'];
        const args = ['-M', 'mps2-an385', ...console, ...serial, '-nic', forward, '-kernel', image];
        const board = new Firmware('qemu-system-arm', args, {}, 'pipe');
        board.child.stdin.on('error', () => {});
        await board.listening();
        board.port = port;
        board.url = `http://127.0.0.1:${port}/mcp`;
        return board;
    }

    counters() {
        const lines = this.output.matchAll(/^([a-z ]+): (\d+)$/gm);
        return Object.fromEntries([...lines].map(([, name, number]) => [name, Number(number)]));
    }

    // Asks for them, and waits until the last one is there.
    async count() {
        this.output = '';
        this.child.stdin.write('s');
        await until(() => /stack there are: \d+\n/.test(this.output), 'the counters');
        return this.counters();
    }

    async stop() {
        if (this.alive) this.child.stdin.write('q');
        const impatience = setTimeout(() => this.child.kill('SIGKILL'), 5000);
        await this.ended;
        clearTimeout(impatience);
        endings.push(this);
    }
}

export const firmware = {
    ...kinds.device,
    title: 'firmware',
    server: /^firmware$/,
    atOnce: 3,
    start: () => Firmware.start()
};
