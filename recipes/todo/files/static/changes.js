// Loads the list anew when somebody has changed it; what is being typed stays.
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/changes");
let soon;
socket.onmessage = (event) => {
    if (event.data === "watching") return;
    // Once for several changes.
    clearTimeout(soon);
    soon = setTimeout(async () => {
        const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
        document.querySelector("ul").replaceWith(page.querySelector("ul"));
    }, 200);
};
