// Calls of the worker.
export class Engine {
  constructor(progress = () => {}) {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.next = 0;
    this.worker.onmessage = ({ data }) => {
      if ("progress" in data) return progress(data.progress);
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      "error" in data ? reject(new Error(data.error)) : resolve(data.value);
    };
    this.worker.onerror = (event) => {
      const error = new Error(event.message || "the worker could not start: this browser lacks what it needs");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
  }

  call(call, args) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, call, args });
    });
  }

  stop() {
    this.worker.postMessage({ call: "stop" });
  }
}
