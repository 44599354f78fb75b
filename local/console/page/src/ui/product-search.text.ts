import { texts } from "../text";

export const text = texts(
  {
    useId: "Use the id “{id}”",
    hint: "Name or id",
    hintPart: "Name or id; names are searched in the {count} products that are loaded",
    loading: "Name or id; the catalogue is being loaded, {count} so far",
    found: "{count} products found",
    "found.one": "{count} product found",
    soldOut: "not available",
  },
  {
    useId: "Die Id „{id}“ verwenden",
    hint: "Name oder Id",
    hintPart: "Name oder Id; Namen werden in den {count} geladenen Produkten gesucht",
    loading: "Name oder Id; der Katalog wird geladen, bisher {count}",
    found: "{count} Produkte gefunden",
    "found.one": "{count} Produkt gefunden",
    soldOut: "nicht verfügbar",
  },
);
