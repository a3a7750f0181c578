// What the pages do without, made easier: the wallet's account and signature, and the time zone of this browser.
"use strict";

const field = (id) => document.getElementById(id);
const offset = field("offset");
if (offset && !offset.value) {
  const minutes = -new Date().getTimezoneOffset();
  const two = (number) => String(number).padStart(2, "0");
  const size = Math.abs(minutes);
  offset.value = `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const button = field("wallet");
if (button && window.ethereum) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const message = field("message").value;
    const account = message.split("\n")[1];
    const bytes = Array.from(new TextEncoder().encode(message), (byte) => byte.toString(16).padStart(2, "0"));
    try {
      await window.ethereum.request({ method: "eth_requestAccounts" });
      field("signature").value = await window.ethereum.request({
        method: "personal_sign",
        params: [`0x${bytes.join("")}`, account],
      });
      field("wallet-said").textContent = "Signed. Now sign in.";
      field("signature").focus();
    } catch (error) {
      field("wallet-said").textContent = "The wallet did not sign. Choose the account in it that you typed in.";
    }
  });
}
