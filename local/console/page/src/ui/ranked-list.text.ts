import { texts } from "../text";

export const text = texts(
  {
    up: "up {places}",
    down: "down {places}",
    new: "new",
    gone: "No longer in the list",
    unchanged: "The same order.",
    changed: "{count} places changed.",
    "changed.one": "{count} place changed.",
    empty: "The list is empty: no available product fits.",
  },
  {
    up: "{places} nach oben",
    down: "{places} nach unten",
    new: "neu",
    gone: "Nicht mehr in der Liste",
    unchanged: "Dieselbe Reihenfolge.",
    changed: "{count} Plätze haben sich geändert.",
    "changed.one": "{count} Platz hat sich geändert.",
    empty: "Die Liste ist leer: Kein verfügbares Produkt passt.",
  },
);
