// A wire between a simulator and a server that is cut at given places.
//
//   node cutter.mjs LISTEN TARGET CUT...     sockets' paths; CUT: up:N or down:N, for one connection each, in turn: so
//                                            many bytes pass in that direction, and both ends see it close
//
// Connections after the last one stay whole. On SIGUSR2 the server's side of a connection is exchanged for another one,
// of which the simulator is not told. Each of these is said on stdout.

import { connect, createServer } from 'node:net';

const [listen, target, ...cuts] = process.argv.slice(2);

function join(near, cut) {
    const [direction, limit] = cut ? cut.split(':') : ['', 0];
    let far;

    function end() {
        near.destroy();
        far.destroy();
    }

    function passer(name, to) {
        let left = name === direction ? Number(limit) : Infinity;
        return bytes => {
            if (left <= 0) return;
            left -= bytes.length;
            if (left > 0) return to().write(bytes);
            console.log(`cut ${cut}`);
            to().write(bytes.subarray(0, bytes.length + left), end);
        };
    }

    function dial() {
        const socket = connect(target);
        socket.on('data', passer('down', () => near));
        socket.on('error', end);
        socket.on('close', () => socket === far && end());
        return socket;
    }

    far = dial();
    near.on('data', passer('up', () => far));
    near.on('error', end);
    near.on('close', end);
    process.on('SIGUSR2', () => {
        if (near.destroyed) return;
        const old = far;
        far = dial();
        old.destroy();
        console.log('exchanged');
    });
}

createServer(near => join(near, cuts.shift())).listen(listen, () => console.log('listening'));
