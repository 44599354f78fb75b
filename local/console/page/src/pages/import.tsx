// Files to purchases or products: upload, see what was understood, mend it, import, train.

import { useMayWrite } from "../app";
import type { PageProps } from "../pages";
import { PageTitle } from "../ui/layout";
import { Notice } from "../ui/notice";
import { text } from "./import.text";
import { CheckCard } from "./import/check";
import { FilesCard } from "./import/files";
import { OptionsCard } from "./import/options-form";
import { RunCard } from "./import/run";
import { startOver, useImport } from "./import/store";
import "./import/import.css";

export function ImportPage(_: PageProps) {
  const state = useImport();
  const { files, check, run } = state;
  if (!useMayWrite()) {
    return (
      <>
        <PageTitle>{text("import")}</PageTitle>
        <Notice kind="info" title={text("readOnly")}>
          <p>{text("readOnlyHelp")}</p>
        </Notice>
      </>
    );
  }
  const begun = files.length > 0 || check !== undefined || run !== undefined;
  return (
    <>
      <PageTitle actions={begun && <button onClick={startOver}>{text("startOver")}</button>}>
        {text("import")}
      </PageTitle>
      <p class="hint">{text("intro")}</p>
      <FilesCard state={state} />
      {check && <CheckCard state={state} check={check} />}
      {files.length > 0 && <OptionsCard state={state} />}
      {check?.report && <RunCard state={state} report={check.report} />}
    </>
  );
}
