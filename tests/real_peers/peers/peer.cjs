// A WebSocket server for the tests, by Node's `ws`. peer.py does the same, and says what that is.
//
//     NODE_PATH=…/node_modules node peer.cjs PORT [CERTIFICATE KEY]
'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');

const say = (...words) => console.log(...words);

function asked(request) {
  const url = new URL(request.url, 'ws://127.0.0.1');
  return { path: url.pathname, options: Object.fromEntries(url.searchParams) };
}

const scenarios = {
  '/echo': (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  },
  '/close': (socket, { code, reason }) => socket.close(Number(code), reason),
  '/terminate': (socket) => socket.on('message', () => socket.terminate()),
  '/ping': (socket, { payload }) => answeredPing(socket, payload),
  '/log': (socket, { name }) => {
    // A pipe is written to at once: nothing that was answered to is lost with the process.
    socket.on('message', (data) => say('got', name, data.toString().split(' ', 1)[0]));
  },
  '/fragments': async (socket) => {
    const euros = Buffer.from('one €, two €');
    // The first cut is inside a character.
    const parts = [euros.subarray(0, 5), euros.subarray(5, 12), euros.subarray(12)];
    await sendPieces(socket, parts, { binary: false });
    await sendPieces(socket, [0, 1, 2].map((n) => Buffer.alloc(100_000, n)), { binary: true });
  },
};

async function sendPieces(socket, parts, { binary }) {
  for (const part of parts) {
    socket.send(part, { binary, fin: false });
    await answeredPing(socket, 'between');
  }
  socket.send('', { binary, fin: true });
}

async function answeredPing(socket, payload) {
  const start = performance.now();
  socket.ping(payload);
  const [answer] = await once(socket, 'pong');
  const milliseconds = (performance.now() - start).toFixed(3);
  say('pong', JSON.stringify(answer.toString()), `after ${milliseconds} ms`);
}

async function open(socket, request) {
  const { path, options } = asked(request);
  socket.on('close', (code, reason) => say('closed', code, JSON.stringify(reason.toString())));
  socket.on('error', (error) => say('error', error.message));
  await (scenarios[path] ?? scenarios['/echo'])(socket, options);
}

function judge({ req }, answer) {
  const { path, options } = asked(req);
  if (path === '/reject') {
    const delay = options['retry-after'];
    const headers = delay === undefined ? {} : { 'Retry-After': delay };
    answer(false, Number(options.status), 'refused\n', headers);
  } else if (path === '/private' && req.headers.authorization !== 'Bearer let-me-in') {
    answer(false, 401, 'who is there?\n', { 'WWW-Authenticate': 'Bearer realm="peers"' });
  } else {
    answer(true);
  }
}

const pick = (offered, request) => asked(request).options.pick ?? false;

const [port, cert, key] = process.argv.slice(2);
const server = cert
  ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : http.createServer();
const sockets = new WebSocketServer({
  server, verifyClient: judge, handleProtocols: pick, maxPayload: 16 << 20,
});
sockets.on('connection', open);
server.listen(Number(port), '127.0.0.1', () => say(server.address().port));

process.stdin.resume().on('end', () => {
  sockets.close();
  server.close();
  for (const socket of sockets.clients) socket.close(1001);
});
