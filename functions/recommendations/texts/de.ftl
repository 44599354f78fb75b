# Texte der Gründe auf Deutsch. Das Format ist Fluent (projectfluent.org); docs/REASONS.md nennt Nachrichten und Variablen.

bought-again = { $purchases ->
        [1] Sie haben es bei Ihrem letzten Einkauf gekauft
       *[other] Sie haben es bei { $times } Ihrer letzten { $purchases } Einkäufe gekauft
    }

number = { $sure ->
        [at-least] mindestens { $count }
       *[exactly] { $count }
    }
shoppers = { number } { $of ->
        [others] anderen Kunden
       *[all] Kunden
    }
baskets = { number } { $count ->
        [one] Einkauf
       *[other] Einkäufen
    }{ $of ->
        [others] { " " }anderer Kunden
       *[all] { "" }
    }

bought-next = Von { shoppers } nach „{ $product }“ gekauft
bought-next-also = , von { number } nach „{ $product }“

bought-together = In { baskets } zusammen mit „{ $product }“
bought-together-also = , in { number } mit „{ $product }“

bought-by-same-shoppers = Von { shoppers } gekauft, die zu anderer Zeit „{ $product }“ kauften

popular-lately = In { $count } der { $purchases } Einkäufe { $recent ->
        [yes] { $period ->
            [day] der letzten 24 Stunden
            [week] der letzten 7 Tage
           *[month] der letzten 30 Tage
        }
       *[no] { $period ->
            [day] der 24 Stunden bis zum { $day }.{ $month }.{ $year }
            [week] der 7 Tage bis zum { $day }.{ $month }.{ $year }
           *[month] der 30 Tage bis zum { $day }.{ $month }.{ $year }
        }
    }
popular-ever = In { $count } von allen { $purchases } Einkäufen{ $of ->
        [others] { " " }anderer Kunden
       *[all] { "" }
    }
popular-with-shoppers = Von { shoppers } gekauft

pinned = Vom Shop hier eingesetzt
catalogue = Aus dem Sortiment
