'use strict';
// place.js - a data directory of gateways: what is in there, and who runs there.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { Gateway, assert, test, until } = require('./kit.js');

const SERVER = path.join(__dirname, 'server.js');
const COMMAND = `exec node ${SERVER}`; // the process is the server itself, not a shell
const brief = { 'backend-lease-ms': 600, 'backend-backoff-ms': 100 };

class Place {
    constructor() {
        this.dir = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'mcpsess-'));
        this.gateways = [];
    }

    file(name, id = 'b1') {
        return path.join(this.dir, id, name);
    }

    read(name, id) {
        return fs.existsSync(this.file(name, id)) ? fs.readFileSync(this.file(name, id), 'utf8') : '';
    }

    async start(options = {}, ...commands) {
        const all = { data: this.dir, ...brief, verbose: true, ...options };
        const g = await Gateway.start(commands.length > 0 ? commands : [COMMAND], all);
        this.gateways.push(g);
        return g;
    }

    // What permissions say counts: root is nobody from now on.
    demote() {
        if (process.getuid() !== 0) return;
        this.user = { uid: 65534, gid: 65534 };
        fs.chownSync(this.dir, this.user.uid, this.user.gid);
    }

    // driver.c, with more in its environment.
    driver(args, env = {}) {
        const program = path.join(path.dirname(Gateway.binary), 'driver');
        return new Promise((done) => {
            const all = { env: { ...process.env, ...env }, ...this.user };
            this.child = execFile(program, [this.dir, 'b1', COMMAND, ...args.map(String)], all, (e, stdout, stderr) => {
                this.said = stderr;
                if (/Sanitizer|runtime error/.test(stderr)) throw new Error(stderr);
                done(stdout.trim());
            });
        });
    }

    async step(name, fence, where = '') {
        return (await this.driver(['step', name, fence, where])).split(' ')[0];
    }

    // As a machine kills it: nothing that it began is finished.
    async kill(g) {
        g.process.kill('SIGKILL');
        await g.exited;
    }

    // Everything alive that has this data.
    processes(id = 'b1') {
        const mark = `MCP_DATA=${this.file('data', id)}\0`;
        const lives = (pid) => {
            try {
                return (
                    /\) [^ZX]/.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')) &&
                    fs.readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark)
                );
            } catch {
                return false; // it has just ended
            }
        };
        return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && lives(name)).map(Number);
    }

    // The one server; its pid is what the record says.
    async server() {
        await until(() => this.processes().length === 1, 'one process');
        const [pid] = this.processes();
        assert.match(this.read('record'), new RegExp(`^port \\d+\npid ${pid} `));
        return pid;
    }

    starts() {
        return this.read('data/starts').split('\n').length - 1;
    }

    end() {
        for (const g of this.gateways) if (g.status === undefined) g.process.kill('SIGKILL');
        for (const id of fs.readdirSync(this.dir)) for (const pid of this.processes(id)) process.kill(pid, 'SIGKILL');
        fs.rmSync(this.dir, { recursive: true, force: true });
    }
}

// Whatever happens, there are never two servers of the same data.
function place(name, options, body) {
    test(name, async () => {
        const p = new Place();
        try {
            await body(p);
            assert.equal(p.read('data/overlaps'), '');
            for (const g of p.gateways) if (g.status === undefined) await g.stop();
        } catch (e) {
            e.message += p.gateways.map((g, i) => `\nstderr of gateway ${i}: ${g.err}`).join('');
            throw e;
        } finally {
            p.end();
        }
    }, options);
}

module.exports = { COMMAND, Place, SERVER, place };
