// Sends single requests: those that are not measured, and the first one of a cold start.
import { request as httpRequest } from "node:http";

/** Sends one request on a connection of its own. Resolves to status, fields and body of the answer. */
export function exchange(port, { method, path, fields, body }, token) {
  const headers = { ...fields, connection: "close", ...(token && { authorization: `Bearer ${token}` }) };
  return new Promise((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", port, method, path, headers, agent: false }, async (response) => {
      const chunks = [];
      try {
        for await (const chunk of response) chunks.push(chunk);
      } catch (error) {
        return reject(error);
      }
      resolve({
        status: response.statusCode,
        fields: response.headers,
        body: Buffer.concat(chunks).toString(),
      });
    })
      .on("error", reject)
      .end(body);
  });
}
