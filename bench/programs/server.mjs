// A target of bench/arming.ts: a plain HTTP server that answers "fine". Prints `ready PID PORT`.
import http from "node:http";

const server = http.createServer((_request, response) => response.end("fine"));
server.listen(0, "127.0.0.1", () => console.log(`ready ${process.pid} ${server.address().port}`));
