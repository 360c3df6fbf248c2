// What both pages share. The token leaves the address bar: it is of use once, and no bookmark should have it.

export const screen = document.getElementById("screen");

export function show(text) {
  document.getElementById("status").textContent = text;
}

// The address of a WebSocket of this very server; `path` may have a query.
export function address(path) {
  const [place, ...query] = path.split("?");
  const url = new URL(location.origin);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.pathname = place;
  url.search = query.join("?");
  history.replaceState(null, "", location.pathname);
  return url.href;
}

// Why a console is not open any more, or never was.
export function ended(opened, reason) {
  if (!opened) return "Not connected: this address was used before, or is too old. Ask for a new one.";
  return reason ? `Disconnected: ${reason}. Ask for a new address to connect again.`
                : "Disconnected. Ask for a new address to connect again.";
}
