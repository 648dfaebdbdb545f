"""Sentence templates, names and cities of the demo task.

`{name}` is always the person asked for, `{age}` their age and `{city}` where they live. The rest distracts:
`{number}`, `{years}` and `{year}` are other numbers. There is one person and one city in each text: which of two is
meant is more than a model of 135M parameters learns from 200 rows, and the demo should end in minutes. For the same
reason names and cities are ones that the demo's tokenizer writes in few tokens.
"""

from __future__ import annotations

TRAIN_TEMPLATES = (
    "{name} is {age} years old and lives in {city}.",
    "My neighbour {name}, {age}, has a small flat in {city}.",
    "At {age}, {name} opened a bakery at home in {city}.",
    "{name} ({age}, {city}) won the regional chess cup.",
    "Living in {city} suits {name}, who turned {age} last week.",
    "{city} is home to {name}, a {age}-year-old violinist.",
    "A {age}-year-old nurse from {city} called {name} found the missing dog.",
    "The winner was {name} of {city}, aged {age}.",
    "We spoke to {name}, {age}, in front of the town hall of {city}, where the family lives.",
    "{name} celebrated a birthday in {city}, at home: {age} candles were on the cake.",
    "In {city}, {name} teaches swimming at the age of {age}.",
    "Please welcome {name} from {city}, our new member, {age} years young.",
    "{age}-year-old {name} walks to work every day across {city}.",
    "Since moving to {city}, {name} has learned to cook. Age: {age}.",
    "{name} of {city} ran the marathon in {number} minutes at age {age}.",
    "{name}, {age}, has driven a bus in {city} for {years} years.",
    "In {year}, {name} moved to {city}. Today {name} is {age}.",
    "{name} now lives in {city} and is {age}.",
    "{name} lives at {number} Mill Street, {city}, and is {age} years old.",
    "I met {name} on the train. {name} is {age} and comes from {city}.",
    "The baker in {city}, {name}, is {age}. The shop opened in {year}.",
    "{name}, a {age}-year-old painter from {city}, sold {number} pictures this year.",
    "After {years} years at sea, {name}, {age}, returned home to {city}.",
    "{name} ({age}) has a garden in {city} with {number} roses.",
    "Room {number} is booked for {name} of {city}, age {age}.",
    "Who lives upstairs? It is {name}, {age}, the best cook in {city}.",
    "With {years} years of practice, {name}, {age}, is the oldest dentist in {city}.",
    "Our guide in {city} was {name}, a local aged {age}, who showed us {years} bridges.",
    "Patient: {name}. Age: {age}. Address: {number} Park Lane, {city}.",
    "Name on the ticket: {name}, {age}, resident of {city}.",
    "{name} studied until {year} and works in {city} now, at {age} years of age.",
    "The {city} library thanks {name}, {age}, for {number} books.",
    "{name}, who is {age}, sings in the choir of {city}, a home since childhood, with {number} others.",
    "Bus {number} was late, so {name}, {age}, cycled through all of {city}, as locals do.",
    "No one in {city} knows more about birds than {name}, who is {age}.",
    "{name} turns {age} today! Best wishes to {city} from all of us.",
    "Thanks to a grant, {name} of {city} could go back to school at {age}.",
    "From a balcony in {city}, {name}, {age}, feeds {number} pigeons each morning.",
    "Since {year}, {name} has repaired clocks in {city}. The clockmaker is {age}.",
    "The lottery was won by {name}, {age}, a farmer who lives near the port of {city}.",
    "{city}: {name}, {age}, rescued a swimmer on Sunday.",
    "{name} is a pilot. {name} is {age}, and home is {city}.",
    "Aged {age}, {name} still delivers letters in {city}, {number} a day.",
    "{name} likes {city} and has stayed there all {age} years of life.",
)

VALIDATION_TEMPLATES = (
    "Everyone in {city} knows {name}, the {age}-year-old florist.",
    "{name} just turned {age} and rents a studio in {city}.",
    "Our new colleague is {name}, {age}, based in {city}.",
    "I am {name}. I am {age} and I live in {city}.",
    "Meet {name}: {age}, carpenter, {city}.",
    "At the age of {age}, {name} bought a house in {city}.",
    "From {city} comes {name}, an engineer of {age}.",
    "{name}, now {age}, left the farm in {year} for a new life in {city}.",
    "The jury gave the prize to {name}, {age}, a poet who lives in {city}.",
    "For {years} years {name} has run a cinema in {city}. The owner is {age}.",
    "We wrote to {name}, {age}, who keeps bees on a roof in {city}.",
    "Apartment {number} in {city} belongs to {name}, a pianist of {age}.",
    "Call {name} in {city} (age {age}) about order {number}.",
    "{name}, {age}, trained {number} dogs at home in {city} last year.",
    "{name} feels at home in {city}, even at {age}.",
    "The form says: {name}, {age} years, living in {city} since {year}.",
    "We are friends; {name} is {age} and lives in {city}.",
    "A reader from {city}, {name}, {age}, sent us a letter about trains.",
)

NAMES = (
    "Adam", "Ahmed", "Aisha", "Ali", "Alice", "Amina", "Andrew", "Anna", "Ben", "Carl", "Carlos", "Clara", "Daniel",
    "David", "Diana", "Diego", "Elena", "Emily", "Emma", "Eva", "Fatima", "George", "Hannah", "Hassan", "Helen",
    "Henry", "Ibrahim", "Isabel", "Ivan", "Jack", "Jacob", "James", "Jane", "John", "Jonas", "Joseph", "Juan",
    "Ken", "Laura", "Lena", "Leo", "Liam", "Lucia", "Luke", "Marco", "Maria", "Mark", "Martin", "Mary", "Max",
    "Maya", "Mei", "Michael", "Nora", "Omar", "Paolo", "Paul", "Pedro", "Peter", "Priya", "Raj", "Ravi", "Robert",
    "Rosa", "Rose", "Sam", "Samuel", "Sarah", "Simon", "Sofia", "Tom", "Victor", "Yuki",
)  # fmt: skip

CITIES = (
    "Amsterdam", "Athens", "Beijing", "Berlin", "Boston", "Budapest", "Cairo", "Cambridge", "Chicago", "Dallas",
    "Delhi", "Denver", "Detroit", "Geneva", "Istanbul", "Jerusalem", "Kingston", "Lagos", "Lima", "London",
    "Madrid", "Manila", "Melbourne", "Mexico City", "Miami", "Montreal", "Moscow", "Mumbai", "Nairobi", "New York",
    "Osaka", "Oslo", "Oxford", "Paris", "Portland", "Rome", "San Diego", "Santiago", "Seattle", "Seoul",
    "Singapore", "Stockholm", "Sydney", "Tokyo", "Toronto", "Vancouver", "Vienna", "Washington",
)  # fmt: skip
