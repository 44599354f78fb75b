// Files that are dropped or chosen, and how much of them is there.

import { useState } from "preact/hooks";
import type { RecordKind } from "../../console-api";
import { bytes } from "../../text";
import { Card } from "../../ui/layout";
import { Progress } from "../../ui/progress";
import { text } from "../import.text";
import { type ImportFile, type ImportState, addFiles, removeFile, setOptions } from "./store";

export function FilesCard({ state }: { state: ImportState }) {
  const [over, setOver] = useState(false);
  const { files, options } = state;
  return (
    <Card title={text("files")}>
      <fieldset class="choice">
        <legend>{text("contents")}</legend>
        {(["purchases", "products"] as RecordKind[]).map((kind) => (
          <label key={kind}>
            <input
              type="radio"
              name="kind"
              checked={options.kind === kind}
              onChange={() => setOptions({ kind, map: {} })}
            />{" "}
            {text(kind)}
          </label>
        ))}
      </fieldset>
      <label
        class={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          if (event.dataTransfer) addFiles(event.dataTransfer.files);
        }}
      >
        {text("drop")}
        <input
          type="file"
          multiple
          onChange={(event) => {
            addFiles(event.currentTarget.files ?? []);
            // The same file, mended, can be chosen again.
            event.currentTarget.value = "";
          }}
        />
      </label>
      {files.length > 0 && (
        <ul class="files" aria-label={text("chosen")}>
          {files.map((file) => (
            <FileLine key={file.name} file={file} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function FileLine({ file }: { file: ImportFile }) {
  const { name, sent, location, problem } = file;
  const values = { sent: bytes(sent), size: bytes(file.bytes) };
  return (
    <li>
      <strong>{name}</strong>
      {!problem && location === undefined && (
        <Progress label={text("uploadOf", { name })} share={sent / Math.max(file.bytes, 1)} />
      )}
      {problem ? (
        <span class="tag error" role="alert">
          {problem.message}
        </span>
      ) : (
        <span class="muted">{text(location === undefined ? "uploading" : "uploaded", values)}</span>
      )}
      <button class="small" aria-label={text("removeFile", { name })} onClick={() => removeFile(file)}>
        ×
      </button>
    </li>
  );
}
