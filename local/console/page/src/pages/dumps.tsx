// Copies of tables: what is where, and when it was proved. And who holds which lock.

import { useSession } from "../app";
import type { PageProps } from "../pages";
import { href } from "../route";
import { PageTitle } from "../ui/layout";
import { text } from "./dumps.text";
import { DumpsCard } from "./dumps/dumps";
import { LocksCard } from "./dumps/locks";
import "./dumps/dumps.css";

export function DumpsPage({ route }: PageProps) {
  const { tables, buckets } = useSession();
  // Not the operations table: what it holds belongs to jobs that run, this one too.
  const { operations: _, ...own } = tables;
  const parameters = { tables: Object.values(own), to: `s3://${buckets.dumps}/console` };
  const submit = href("jobs", [], { submit: "dump", parameters: JSON.stringify(parameters) });
  return (
    <>
      <PageTitle
        actions={
          <a class="button" href={submit}>
            {text("newDump")}
          </a>
        }
      >
        {text("dumps")}
      </PageTitle>
      <DumpsCard table={route.query.get("table") ?? undefined} />
      <LocksCard />
    </>
  );
}
