import { texts } from "../text";

export const text = texts(
  { type: "Type {typed} to confirm", cancel: "Cancel" },
  { type: "Zur Bestätigung {typed} eingeben", cancel: "Abbrechen" },
);
