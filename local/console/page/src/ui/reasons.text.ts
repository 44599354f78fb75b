import { texts } from "../text";

export const text = texts(
  {
    share: "{share} of the score",
    boughtAgain: "In {times} of the last {purchases} purchases, last on {last}.",
    inPurchases: "Bought on: {dates}",
    product: "Product",
    shoppers: "Shoppers",
    baskets: "Baskets",
    evidence: "Evidence: products and their counts",
    atLeast: "at least {count}",
    popularBaskets: "In {baskets} of {purchases} purchases.",
    popularBetween: "In {baskets} of {purchases} purchases from {since} to {until}.",
    popularShoppers: "Bought by {shoppers} shoppers.",
    pinned: "The request put it there.",
    catalogue: "No purchases speak for it: it fills the list.",
  },
  {
    share: "{share} der Wertung",
    boughtAgain: "In {times} der letzten {purchases} Einkäufe, zuletzt am {last}.",
    inPurchases: "Gekauft am: {dates}",
    product: "Produkt",
    shoppers: "Kunden",
    baskets: "Warenkörbe",
    evidence: "Belege: Produkte und ihre Anzahlen",
    atLeast: "mindestens {count}",
    popularBaskets: "In {baskets} von {purchases} Einkäufen.",
    popularBetween: "In {baskets} von {purchases} Einkäufen vom {since} bis {until}.",
    popularShoppers: "Von {shoppers} Kunden gekauft.",
    pinned: "Die Anfrage hat es dorthin gesetzt.",
    catalogue: "Kein Einkauf spricht dafür: Es füllt die Liste auf.",
  },
);
