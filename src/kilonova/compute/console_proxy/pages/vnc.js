import RFB from "./packages/novnc/core/rfb.js";
import { address, ended, screen, show } from "./common.js";

const path = new URLSearchParams(location.search).get("path") ?? "";
const socket = new WebSocket(address(path), ["binary"]);
let opened = false;
let reason = "";
socket.addEventListener("close", (event) => { reason = event.reason; });

const rfb = new RFB(screen, socket, { shared: true });
rfb.scaleViewport = true;
rfb.addEventListener("desktopname", (event) => { document.title = event.detail.name; });
rfb.addEventListener("connect", () => {
  opened = true;
  show(`Connected to ${document.title}`);
  rfb.focus();
});
rfb.addEventListener("disconnect", () => show(ended(opened, reason)));
document.getElementById("keys").addEventListener("click", () => {
  rfb.sendCtrlAltDel();
  rfb.focus();
});
