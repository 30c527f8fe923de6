/** A plain HTTP server; prints its port. Answers with the path, turned about. */
import { createServer } from "node:http";

const server = createServer((request, response) => {
  response.end([...String(request.url)].reverse().join(""));
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
