import { texts } from "../text";

/** How fast a purchase loses its weight in a popular list. */
export const windowText = texts(
  { day: "day", week: "week", month: "month", all: "all time" },
  { day: "Tag", week: "Woche", month: "Monat", all: "alle Zeit" },
);
