// A wire between a simulator and a server that is cut at given places.
//
//   node cutter.mjs LISTEN TARGET CUT...     sockets' paths; CUT: up:N or down:N, for one connection each, in turn: so
//                                            many bytes pass in that direction, and both ends see it close
//
// Connections after the last one stay whole. Each cut is told on stdout.

import { connect, createServer } from 'node:net';

const [listen, target, ...cuts] = process.argv.slice(2);

function join(near, cut) {
    const far = connect(target);
    const [direction, limit] = cut ? cut.split(':') : ['', 0];
    const end = () => { near.destroy(); far.destroy(); };
    for (const [from, to, name] of [[near, far, 'up'], [far, near, 'down']]) {
        let left = name === direction ? Number(limit) : Infinity;
        from.on('data', bytes => {
            if (left <= 0) return;
            left -= bytes.length;
            if (left > 0) return to.write(bytes);
            console.log(`cut ${cut}`);
            to.write(bytes.subarray(0, bytes.length + left), () => end());
        });
        from.on('error', end);
        from.on('close', end);
    }
}

createServer(near => join(near, cuts.shift())).listen(listen, () => console.log('listening'));
