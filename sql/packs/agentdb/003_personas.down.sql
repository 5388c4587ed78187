-- Undoes 003_personas.

DROP TABLE agent.modules;
DROP TABLE agent.personas;
