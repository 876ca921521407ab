/** Words the sample shop is made of. Nobody and nothing in it is real. */
const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const firstNames = words(`
  Ada Aisha Akira Alma Amara Andrea Anton Astrid Ayse Benno Bianca Bruno Camille Carlos Chiara Chidi Clara Daniel Darya
  David Dilek Elena Elias Emeka Emma Erik Esra Fatima Felix Femi Freya Gabriel Greta Hana Hassan Helena Hugo Ines Ingrid
  Isaac Ivana Jakub Jana Jin Joao Jonas Julia Kavya Kenji Klara Kofi Lars Laura Leila Liam Lina Lucia Luka Maja Malik
  Mara Marek Maria Mateo Mei Mila Milan Mina Mira Nadia Naomi Nia Nikolai Nina Noah Nora Oliver Olga Omar Oskar Paula
  Pedro Petra Priya Quinn Rafael Rania Ravi Rosa Ruben Ruth Samir Sara Selma Sofia Sven Tariq Tessa Thandi Theo Tomas
  Uma Vera Viktor Wanda Wei Yara Yusuf Zeynep Zofia`);

export const lastNames = words(`
  Abara Adler Ahmadi Akande Almeida Andersen Arslan Bakker Barros Bauer Becker Bergman Bianchi Blake Borg Brandt Carter
  Castillo Chen Costa Cruz Dahl Delgado Diallo Dogan Dubois Ekholm Farah Fernandez Ferrari Fischer Fontaine Forsberg Gallo
  Garcia Gruber Haddad Halvorsen Hansen Hart Hassan Heller Hoang Horvat Ibrahim Ito Ivanov Jansen Jensen Kaya Keller Khan
  Kim Kovac Kowalski Kumar Lang Larsen Laurent Lehmann Lindqvist Lopez Maier Marino Martins Mbeki Mensah Meyer Moreau
  Mori Nakamura Nguyen Novak Nowak Nwosu Okafor Okoye Olsen Ortiz Osei Patel Pereira Petrov Pires Quist Rahman Ramirez
  Reyes Ricci Rossi Russo Sahin Sato Schmid Silva Singh Sokolov Sorensen Suzuki Takeda Tanaka Torres Vargas Vogel Wagner
  Weber Werner Yamada Yilmaz Zhang Ziegler`);

/** City, country (ISO 3166-1), telephone number in a range its country keeps for fiction; # is any digit. */
export const places: readonly (readonly [string, string, string])[] = [
  ["Austin", "US", "+1 512 555 01##"],
  ["Belfast", "GB", "+44 28 9649 6###"],
  ["Berlin", "DE", "+49 30 23125 ###"],
  ["Boston", "US", "+1 617 555 01##"],
  ["Chicago", "US", "+1 312 555 01##"],
  ["Cologne", "DE", "+49 221 4710 ###"],
  ["Gothenburg", "SE", "+46 31 390 06##"],
  ["Hamburg", "DE", "+49 40 66969 ###"],
  ["Leeds", "GB", "+44 113 496 0###"],
  ["London", "GB", "+44 20 7946 0###"],
  ["Lyon", "FR", "+33 4 65 71 ## ##"],
  ["Melbourne", "AU", "+61 3 5550 ####"],
  ["Nantes", "FR", "+33 2 61 91 ## ##"],
  ["Seattle", "US", "+1 206 555 01##"],
  ["Stockholm", "SE", "+46 8 465 004 ##"],
  ["Sydney", "AU", "+61 2 5550 ####"],
  ["Toronto", "CA", "+1 416 555 01##"],
];

export const streets = words(
  "Harbour Mill Station Garden Chapel Orchard Bridge Market School Forest River Meadow Castle Lantern Cooper Linden",
);

/** Category, its things, and a price range in cents. */
export const catalogue: readonly (readonly [string, readonly string[], number, number])[] = [
  [
    "kitchen",
    [
      "kettle",
      "teapot",
      "skillet",
      "chopping board",
      "mixing bowl",
      "espresso cup",
      "bread knife",
      "storage jar",
    ],
    900,
    12_900,
  ],
  [
    "lighting",
    ["desk lamp", "floor lamp", "lantern", "reading light", "string lights", "pendant"],
    1_900,
    24_900,
  ],
  ["textiles", ["blanket", "cushion", "tablecloth", "bath towel", "rug", "curtain pair"], 1_200, 34_900],
  [
    "stationery",
    ["notebook", "fountain pen", "desk tray", "pencil case", "wall calendar", "letter set"],
    400,
    8_900,
  ],
  ["garden", ["watering can", "planter", "trowel", "bird feeder", "garden bench", "hose reel"], 700, 39_900],
  [
    "travel",
    ["backpack", "duffel bag", "packing cubes", "travel mug", "passport wallet", "umbrella"],
    1_100,
    21_900,
  ],
];
export const styles = words(
  "Nordic Walnut Slate Copper Linen Indigo Harbour Moss Alpine Terracotta Birch Midnight",
);

/** Numbers the card networks and processors publish for tests; no bank ever issued one. */
export const testCards: readonly (readonly [string, string])[] = [
  ["visa", "4242424242424242"],
  ["visa", "4111111111111111"],
  ["visa", "4000056655665556"],
  ["mastercard", "5555555555554444"],
  ["mastercard", "2223003122003222"],
  ["mastercard", "5105105105105100"],
  ["amex", "378282246310005"],
  ["discover", "6011111111111117"],
];

export const ticketSubjects: readonly (readonly [string, string])[] = [
  ["Parcel has not arrived", "The tracking page has said 'in transit' for more than a week."],
  ["Wrong item in the box", "I ordered one colour and got another. How do I send it back?"],
  ["Refund not on my account", "The return was confirmed, but the money is not there yet."],
  ["Change delivery address", "I have moved. Please send the next order to the new address."],
  ["Damaged on arrival", "The corner is chipped; photos are attached to my earlier mail."],
  ["Invoice needs our VAT number", "Accounting needs a corrected invoice for this order."],
  ["Cannot log in", "The reset link says it has expired every time I open it."],
  ["Question about care", "Is this safe for the dishwasher? The leaflet does not say."],
];
