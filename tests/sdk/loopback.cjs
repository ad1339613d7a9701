// Loaded before server-everything, which listens on every interface and cannot say which port it got when asked
// for any: binds it to loopback and prints the address.

const net = require('node:net');
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
    this.once('listening', () => console.error(`listening on http://127.0.0.1:${this.address().port}/mcp`));
    return listen.call(this, Number(port), '127.0.0.1', ...rest);
};
