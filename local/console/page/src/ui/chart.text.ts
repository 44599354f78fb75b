import { texts } from "../text";

export const text = texts({ asTable: "Figures as a table" }, { asTable: "Zahlen als Tabelle" });
