// The way from a client to the service: it can stall after so many bytes, and be cut with all that is on it.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Cable {
  #server;
  #port = 0;
  #open = new Set();
  #left = Number.POSITIVE_INFINITY;
  #stalled;

  /** A cable to a service, mended. */
  static async to(service) {
    const cable = new Cable();
    cable.#server = createServer((near) => cable.#join(near, connect(new URL(service.url).port, "127.0.0.1")));
    cable.mend();
    await once(cable.#server, "listening");
    cable.#port = cable.#server.address().port;
    cable.uploads = `http://127.0.0.1:${cable.#port}/api/uploads`;
    return cable;
  }

  /** Lets so many more bytes through to the service, then nothing on that connection; later ones are free. */
  stallAfter(bytes) {
    this.#left = bytes;
    return new Promise((resolve) => {
      this.#stalled = resolve;
    });
  }

  cut() {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  mend() {
    this.#server.listen(this.#port, "127.0.0.1");
  }

  #join(near, far) {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      this.#open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#open.delete(socket);
        other.destroy();
      });
    }
    far.pipe(near);
    near.on("data", (chunk) => {
      this.#left -= chunk.length;
      if (this.#left < 0) {
        this.#left = Number.POSITIVE_INFINITY;
        near.pause();
        this.#stalled();
      } else if (!far.write(chunk)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
  }
}
