// A wire between clients and a server that can be cut: every connection on it ends at once, without a goodbye.

import { connect as dial, createServer } from 'node:net';

export class Cutter {
    // wires(url) -> a cutter whose url leads to the same server
    static async before(url) {
        const cutter = new Cutter();
        const target = new URL(url);
        cutter.sockets = new Set();
        cutter.cuts = 0;
        cutter.server = createServer(near => cutter.join(near, dial(target.port, target.hostname)));
        await new Promise(resolve => cutter.server.listen(0, '127.0.0.1', resolve));
        target.port = cutter.server.address().port;
        cutter.url = target.href;
        return cutter;
    }

    join(near, far) {
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

    stop() {
        this.cut();
        return new Promise(resolve => this.server.close(resolve));
    }
}
