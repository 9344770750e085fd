// Search on a site that is opened from disk. Browsers start no workers there, so the worker's script runs in a hidden
// frame, and messages are events that both sides send to each other: copies, and later, as those of workers, because
// both sides change what they sent.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.onmessage = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data: structuredClone(data) });
        setTimeout(() => {
          this.dispatchEvent(event);
          this.onmessage?.(event);
        });
      };
      this.started = new Promise((resolve, reject) => {
        const script = inside.document.createElement("script");
        script.src = new URL(address, location.href).href;
        script.onload = () => resolve(inside);
        script.onerror = reject;
        inside.document.body.append(script);
      });
    }
    postMessage(data) {
      const copy = structuredClone(data);
      this.started.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data: copy })));
    }
    terminate() {}
  };
}
