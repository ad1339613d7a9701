// A wire between clients and a server that can be cut: every connection on it ends at once, without a goodbye.

import { connect as dial, createServer } from 'node:net';

export class Cutter {
    static async before(url) {
        const cutter = new Cutter();
        const { port, hostname } = new URL(url);
        cutter.sockets = new Set();
        cutter.cuts = 0;
        cutter.down = false;
        cutter.server = createServer(near => cutter.join(near, dial(port, hostname)));
        await new Promise(resolve => cutter.server.listen(0, '127.0.0.1', resolve));
        cutter.url = url.replace(`:${port}`, `:${cutter.server.address().port}`);
        return cutter;
    }

    join(near, far) {
        if (this.down) near.resetAndDestroy();
        for (const [socket, other] of [[near, far], [far, near]]) {
            this.sockets.add(socket);
            socket.setNoDelay(true);
            socket.on('data', bytes => other.write(bytes));
            socket.on('end', () => other.end());
            socket.on('error', () => other.destroy());
            socket.on('close', () => this.sockets.delete(socket) && other.destroySoon());
        }
    }

    cut() {
        this.cuts++;
        for (const socket of this.sockets) socket.resetAndDestroy();
    }

    // Cut, and nobody gets through for so long.
    async away(ms) {
        this.down = true;
        this.cut();
        await new Promise(resolve => setTimeout(resolve, ms));
        this.down = false;
    }

    stop() {
        this.cut();
        return new Promise(resolve => this.server.close(resolve));
    }
}
