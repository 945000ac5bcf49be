// The least a proxy in Node does, for scale: node proxy.mjs PORT TARGET_PORT
import http from 'node:http';

const [port, target] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.from(JSON.stringify(JSON.parse(Buffer.concat(chunks))));
    const forward = http.request({
      agent, port: target, host: '127.0.0.1', method: request.method, path: request.url,
      headers: { 'content-type': 'application/json', 'content-length': body.length },
    }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forward.end(body);
  });
}).listen(port, '127.0.0.1', () => console.log('ready'));
