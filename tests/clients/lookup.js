// Looks a name up, connects to a port of each address, and prints a line for each: ADDRESS and `ok` or
// the name of the error. A name without one is `failed` and the name of the error. The ways are `lookup`
// (getaddrinfo), `resolve4` and `resolve6` (c-ares).
const dns = require('node:dns').promises;
const net = require('node:net');

const [way, name, port] = process.argv.slice(2);

function connect(host) {
  return new Promise((done) => {
    const stream = net.connect({ host, port: Number(port), timeout: 5000 });
    const end = (outcome) => { stream.destroy(); done(outcome); };
    stream.on('connect', () => end('ok'));
    stream.on('timeout', () => end('ETIMEDOUT'));
    stream.on('error', (error) => end(error.code));
  });
}

async function main() {
  const found = way === 'lookup'
    ? (await dns.lookup(name, { all: true })).map(({ address }) => address)
    : await dns[way](name);
  for (const address of found) {
    console.log(address, await connect(address));
  }
}

main().catch((error) => console.log('failed', error.code));
