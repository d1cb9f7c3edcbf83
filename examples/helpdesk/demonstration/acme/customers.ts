import type { DeskCustomer } from "../desk.ts";

export const customers: readonly DeskCustomer[] = [
  { name: "Mara Keller", email: "mara@nordwerk.example", company: "Nordwerk Automotive" },
  { name: "Jon Ibarra", email: "jon@pelican-packaging.example", company: "Pelican Packaging" },
  { name: "Yuki Tanabe", email: "yuki@hoshi.example", company: "Hoshi Electronics" },
  { name: "Sofia Lindqvist", email: "sofia@fjordseafood.example", company: "Fjord Seafood" },
  { name: "Dele Okafor", email: "dele@lagosbottling.example", company: "Lagos Bottling" },
  { name: "Claire Dubois", email: "claire@atelierverre.example", company: "Atelier Verre" },
  { name: "Raj Malhotra", email: "raj@deccantextiles.example", company: "Deccan Textiles" },
  { name: "Tom Whitaker", email: "tom@prairiegrain.example", company: "Prairie Grain Co-op" },
];
