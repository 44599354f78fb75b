// A file on its way to the server. `fetch` tells nothing of what was sent so far; XMLHttpRequest does.

import { Problem, sessionHeader } from "../../api";

export interface Upload {
  location: string;
  bytes: number;
}

export function upload(file: File, onProgress: (sent: number) => void, signal: AbortSignal): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/console/api/uploads?${new URLSearchParams({ name: file.name })}`);
    for (const [name, value] of Object.entries(sessionHeader())) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      const answer = request.response as (Upload & { code?: string; detail?: string; field?: string }) | null;
      if (request.status >= 200 && request.status < 300 && answer) return resolve(answer);
      const detail = answer?.detail ?? `${request.status} ${request.statusText}`;
      reject(new Problem(request.status, answer?.code ?? "unknown", detail, answer?.field));
    };
    request.onerror = () => reject(new Problem(0, "no_answer", `${file.name}: the connection was lost`));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
