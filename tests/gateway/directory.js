'use strict';
// directory.js - a service that knows whose backends are whose, and does what a test tells it to.

const http = require('node:http');

class Directory {
    static async start() {
        const d = new Directory();
        d.lists = {}; // by user: backends, or their URLs
        d.asked = []; // users
        d.seen = []; // requests: {url, headers}
        d.hook = null; // (user, res) => true: answered, or not to be
        d.port = 0;
        await d.open();
        d.url = `http://127.0.0.1:${d.port}/backends`;
        return d;
    }

    open() {
        this.server = http.createServer((req, res) => this.take(req, res));
        return new Promise((done) =>
            this.server.listen(this.port, '127.0.0.1', () => {
                this.port = this.server.address().port;
                done();
            }),
        );
    }

    close() {
        this.server.close();
        this.server.closeAllConnections();
    }

    take(req, res) {
        const user = new URL(req.url, 'http://d').searchParams.get('user');
        this.asked.push(user);
        this.seen.push(req);
        if (!this.hook?.(user, res)) this.answer(user, res);
    }

    answer(user, res) {
        const list = (this.lists[user] ?? []).map((b) => b.url ?? b);
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ backends: list }));
    }
}

const as = (user) => ({ 'x-user': user });

module.exports = { Directory, as };
