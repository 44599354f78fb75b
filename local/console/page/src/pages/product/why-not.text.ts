import { textOf, texts } from "../../text";

const en = {
  unknown_product:
    "Neither the catalogue nor the model knows this id. Add the product with PUT /products, or import the catalogue.",
  not_in_catalogue:
    "The catalogue does not have it, and only its products are recommended. Add it with PUT /products, or import the catalogue.",
  damaged: "Its item in the products table cannot be read. Look at it on the page Tables, and write it anew.",
  unavailable: "It is not available. Only available products are recommended: edit it once it can be bought again.",
  no_model: "There is no model yet, so that only popular lists are made. Train one.",
  not_in_model: "Model {version}, trained on {trainedAt}, has not seen it in a purchase. Train after it was bought.",
  few_buyers:
    "{buyers} shoppers bought it; what goes with a product is told from {least} on. Until then it comes in popular lists and by its categories.",
  "few_buyers.one": "One shopper bought it; what goes with a product is told from {least} on.",
  low_rank: "By popularity it is {rank} of {of}; lists show the first {shown}.",
  no_neighbours: "In model {version} it goes with no other product often enough to stand in a row.",
  no_category: "It is in no category, so that no list of a category shows it. Edit it.",
  new_category: "{categories}: new since the training of {trainedAt}. The next training ranks it there.",
};

const de: typeof en = {
  unknown_product:
    "Weder der Katalog noch das Modell kennt diese Id. Fügen Sie das Produkt mit PUT /products hinzu, oder importieren Sie den Katalog.",
  not_in_catalogue:
    "Der Katalog hat es nicht, und nur seine Produkte werden empfohlen. Fügen Sie es mit PUT /products hinzu, oder importieren Sie den Katalog.",
  damaged:
    "Sein Eintrag in der Tabelle der Produkte ist nicht lesbar. Sehen Sie ihn auf der Seite Tabellen an, und schreiben Sie ihn neu.",
  unavailable:
    "Es ist nicht verfügbar. Empfohlen werden nur verfügbare Produkte: Bearbeiten Sie es, sobald es wieder zu kaufen ist.",
  no_model: "Es gibt noch kein Modell, also nur Listen des Beliebten. Trainieren Sie eines.",
  not_in_model:
    "Modell {version}, trainiert am {trainedAt}, hat es in keinem Einkauf gesehen. Trainieren Sie, nachdem es gekauft wurde.",
  few_buyers:
    "{buyers} Kunden haben es gekauft; was zu einem Produkt passt, wird ab {least} gesagt. Bis dahin steht es in Listen des Beliebten und seiner Kategorien.",
  "few_buyers.one": "Ein Kunde hat es gekauft; was zu einem Produkt passt, wird ab {least} gesagt.",
  low_rank: "Nach Beliebtheit ist es {rank} von {of}; Listen zeigen die ersten {shown}.",
  no_neighbours: "In Modell {version} passt es zu keinem anderen Produkt oft genug, um in einer Zeile zu stehen.",
  no_category: "Es ist in keiner Kategorie, also zeigt es keine Liste einer Kategorie. Bearbeiten Sie es.",
  new_category: "{categories}: neu seit dem Training vom {trainedAt}. Das nächste Training ordnet es dort ein.",
};

/** What keeps a product out of lists, or low in them, by the server's codes. */
export const whyNotText = textOf(texts(en, de), en);
