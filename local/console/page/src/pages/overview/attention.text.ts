// What each code of the overview means, and what to do about it.

import { textOf, texts } from "../../text";

const en = {
  no_purchases: "There are no purchases yet",
  "no_purchases.do": "Import the export of your shop system, or send purchases to POST /purchases.",
  "no_purchases.link": "Import",
  no_model: "There is no model yet",
  "no_model.do": "Everybody sees what sells best. Train a model: it takes a minute for a small shop.",
  "no_model.link": "Train a model",
  stream_behind: "Purchases wait to become part of recommendations: {records}",
  "stream_behind.do":
    "Lists do not know the newest purchases. If this lasts for minutes, look at the errors and the throttles of the function purchase-history.",
  stream_failures: "Changes of purchases were given up before they reached a history: {records}",
  "stream_failures.do":
    "After all retries they were put into the queue of failed records. Run the job rebuild-history once the cause is mended: it reads all purchases again.",
  "stream_failures.link": "Rebuild histories",
  job_failed: "A job failed: {kind}",
  "job_failed.do": "Its page shows the batches that failed. Mend the cause and submit it again.",
  "job_failed.link": "Look at the job",
  training_old: "The live model is {days} days old",
  "training_old.do":
    "It does not know what was bought and sold since. Train a new one, and see why the scheduled training did not.",
  "training_old.link": "Train a model",
  training_refused: "The newest training was not published",
  "training_refused.do":
    "Look at the figures; if your assortment has changed, a training with a larger gate publishes it.",
  "training_refused.link": "Look at the training",
  dump_old: "The last complete dump of {table} is {hours} hours old",
  "dump_old.do": "Dump the table now, and see whether the scheduled dump fails.",
  "dump_old.link": "Dumps",
  dump_missing: "There is no dump of {table}",
  "dump_missing.do": "Without one, nothing can be restored but by point-in-time recovery. Dump the table.",
  "dump_missing.link": "Dumps",
  errors_recent: "Calls that failed in the last hour: {errors}",
  "errors_recent.do": "Look for the request ids of the failed calls in the log of the functions.",
  worse_model: "Model {version} is measured worse than the one before: nDCG@10 {ndcg} against {previousNdcg}",
  "worse_model.do": "Compare both on the page of a shopper; roll back if the lists are worse.",
  "worse_model.link": "Compare the models",
};

const text = texts(en, {
  no_purchases: "Es gibt noch keine Käufe",
  "no_purchases.do": "Importieren Sie den Export Ihres Shopsystems oder senden Sie Käufe an POST /purchases.",
  "no_purchases.link": "Importieren",
  no_model: "Es gibt noch kein Modell",
  "no_model.do":
    "Alle sehen, was sich am besten verkauft. Trainieren Sie ein Modell: Für einen kleinen Laden dauert es eine Minute.",
  "no_model.link": "Modell trainieren",
  stream_behind: "Käufe warten darauf, Teil der Empfehlungen zu werden: {records}",
  "stream_behind.do":
    "Die Listen kennen die neuesten Käufe nicht. Wenn das minutenlang so bleibt, sehen Sie nach Fehlern und Drosselungen der Funktion purchase-history.",
  stream_failures: "Änderungen an Käufen wurden aufgegeben, bevor sie einen Verlauf erreichten: {records}",
  "stream_failures.do":
    "Nach allen Versuchen kamen sie in die Warteschlange für fehlgeschlagene Datensätze. Starten Sie den Job rebuild-history, sobald die Ursache behoben ist: Er liest alle Käufe neu.",
  "stream_failures.link": "Verläufe neu aufbauen",
  job_failed: "Ein Job ist fehlgeschlagen: {kind}",
  "job_failed.do": "Seine Seite zeigt die fehlgeschlagenen Teile. Beheben Sie die Ursache und starten Sie ihn erneut.",
  "job_failed.link": "Job ansehen",
  training_old: "Das Modell in Betrieb ist {days} Tage alt",
  "training_old.do":
    "Es weiß nicht, was seither gekauft und verkauft wurde. Trainieren Sie ein neues und prüfen Sie, warum das geplante Training ausblieb.",
  "training_old.link": "Modell trainieren",
  training_refused: "Das neueste Training wurde nicht veröffentlicht",
  "training_refused.do":
    "Sehen Sie sich die Zahlen an; wenn sich Ihr Sortiment geändert hat, veröffentlicht es ein Training mit größerem „gate“.",
  "training_refused.link": "Training ansehen",
  dump_old: "Der letzte vollständige Dump von {table} ist {hours} Stunden alt",
  "dump_old.do": "Sichern Sie die Tabelle jetzt und prüfen Sie, ob der geplante Dump fehlschlägt.",
  "dump_old.link": "Dumps",
  dump_missing: "Von {table} gibt es keinen Dump",
  "dump_missing.do":
    "Ohne ihn lässt sich nichts wiederherstellen, außer mit Point-in-Time-Recovery. Sichern Sie die Tabelle.",
  "dump_missing.link": "Dumps",
  errors_recent: "Fehlgeschlagene Aufrufe in der letzten Stunde: {errors}",
  "errors_recent.do": "Suchen Sie die Request-Ids der fehlgeschlagenen Aufrufe im Log der Funktionen.",
  worse_model: "Modell {version} misst sich schlechter als das davor: nDCG@10 {ndcg} gegen {previousNdcg}",
  "worse_model.do":
    "Vergleichen Sie beide auf der Seite eines Kunden; gehen Sie zurück, wenn die Listen schlechter sind.",
  "worse_model.link": "Modelle vergleichen",
});

export const advice = textOf(text, en);
