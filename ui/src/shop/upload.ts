/** Brings a file into a hub's library, and tells how far it is. */
import { OWN, Trouble, troubleFrom } from "../api";
import type { ShopFile } from "./api";

type Options = { step: (sent: number) => void; signal: AbortSignal };

/** By XMLHttpRequest: `fetch` does not tell how much of a body is sent. */
export function putFile(url: string, file: File, { step, signal }: Options): Promise<ShopFile> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(OWN)) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded }) => step(loaded);
    request.onerror = () => fail(new Trouble("silent", "the connection broke off", null));
    request.onabort = () => fail(signal.reason);
    request.onload = () => {
      if (request.status < 200 || request.status > 299)
        return fail(troubleFrom(request.status, request.responseText));
      try {
        done(JSON.parse(request.responseText) as ShopFile);
      } catch {
        fail(troubleFrom(request.status, request.responseText));
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}
