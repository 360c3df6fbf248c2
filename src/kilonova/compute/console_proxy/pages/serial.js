import { FitAddon } from "./packages/addon-fit/lib/addon-fit.mjs";
import { Terminal } from "./packages/xterm/lib/xterm.mjs";
import { address, ended, screen, show } from "./common.js";

const terminal = new Terminal({ scrollback: 10000 });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(screen);
fit.fit();
addEventListener("resize", () => fit.fit());

const socket = new WebSocket(address(location.pathname + location.search), ["binary"]);
socket.binaryType = "arraybuffer";
let opened = false;
socket.addEventListener("open", () => {
  opened = true;
  show("Connected. Press Enter if nothing is shown.");
  terminal.focus();
});
socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
socket.addEventListener("close", (event) => show(ended(opened, event.reason)));

function send(bytes) {
  if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
}
terminal.onData((text) => send(new TextEncoder().encode(text)));
terminal.onBinary((text) => send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
