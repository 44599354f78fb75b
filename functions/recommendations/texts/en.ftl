# Texts of reasons in English. The format is Fluent (projectfluent.org); docs/REASONS.md lists the messages and variables.

# $of is "others" if the request names a user, whose own purchases are then not counted, and "all" otherwise.
# $sure is "exactly", or "at-least" if it cannot be told whether one more did the same.

bought-again = { $purchases ->
        [1] You bought it in your last purchase
       *[other] You bought it in { $times } of your last { $purchases } purchases
    }

number = { $sure ->
        [at-least] at least { $count }
       *[exactly] { $count }
    }
shoppers = { number } { $of ->
        [others] { $count ->
            [one] other shopper
           *[other] other shoppers
        }
       *[all] { $count ->
            [one] shopper
           *[other] shoppers
        }
    }
baskets = { number } { $count ->
        [one] basket
       *[other] baskets
    }{ $of ->
        [others] { " " }of other shoppers
       *[all] { "" }
    }

bought-next = Bought by { shoppers } after “{ $product }”
bought-next-also = , by { number } after “{ $product }”

bought-together = In { baskets } with “{ $product }”
bought-together-also = , in { number } with “{ $product }”

bought-by-same-shoppers = Bought by { shoppers } who bought “{ $product }” at another time

popular-lately = In { $count } of the { $purchases } purchases { $recent ->
        [yes] { $period ->
            [day] of the last 24 hours
            [week] of the last 7 days
           *[month] of the last 30 days
        }
       *[no] { $period ->
            [day] of the 24 hours to { $year }-{ $month }-{ $day }
            [week] of the 7 days to { $year }-{ $month }-{ $day }
           *[month] of the 30 days to { $year }-{ $month }-{ $day }
        }
    }
popular-ever = In { $count } of all { $purchases } purchases{ $of ->
        [others] { " " }of other shoppers
       *[all] { "" }
    }
popular-with-shoppers = Bought by { shoppers }

pinned = Placed here by the shop
catalogue = From the catalogue
